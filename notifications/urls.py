from django.urls import path

from notifications import links  # noqa: F401  # the converter <secret:…>
from notifications.inbox import views as inbox
from notifications.preferences import views as preferences

app_name = "notifications"
urlpatterns = [
    path("notifications/", inbox.inbox, name="inbox"),
    path("notifications/read/", inbox.read_all, name="read-all"),
    path("notifications/<int:pk>/", inbox.follow, name="follow"),
    path("notifications/<int:pk>/read/", inbox.read, name="read"),
    path("notifications/unsubscribe/<secret:signed>/", preferences.stop_mails, name="unsubscribe"),
    path("profile/notifications/", preferences.settings, name="settings"),
]

from django.urls import path

from notifications import links  # noqa: F401  # the converter <secret:…>
from notifications.inbox import views as inbox
from notifications.preferences import views as preferences

app_name = "notifications"
_inbox = "accounts/<int:account_id>/notifications/"
urlpatterns = [
    path(_inbox, inbox.inbox, name="inbox"),
    path(f"{_inbox}read/", inbox.read_all, name="read-all"),
    path(f"{_inbox}<int:pk>/", inbox.follow, name="follow"),
    path(f"{_inbox}<int:pk>/read/", inbox.read, name="read"),
    path(f"{_inbox}settings/", preferences.settings, name="settings"),
    path("notifications/unsubscribe/<secret:signed>/", preferences.stop_mails, name="unsubscribe"),
]

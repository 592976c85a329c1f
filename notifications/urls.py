from django.urls import path

from notifications import views

app_name = "notifications"
urlpatterns = [
    path("notifications/", views.inbox, name="inbox"),
    path("notifications/read/", views.read_all, name="read-all"),
    path("notifications/<int:pk>/", views.follow, name="follow"),
    path("notifications/<int:pk>/read/", views.read, name="read"),
    path("notifications/unsubscribe/<str:signed>/", views.stop_mails, name="unsubscribe"),
    path("profile/notifications/", views.settings, name="settings"),
]

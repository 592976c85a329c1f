from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("accounts/switch/", views.switch, name="switch"),
    path("accounts/<int:account_id>/open/", views.open_account, name="open"),
]

from django.urls import path

from accounts.views import account, profile

app_name = "accounts"
urlpatterns = [
    path("profile/", profile.profile, name="profile"),
    path("accounts/switch/", account.switch, name="switch"),
    path("accounts/<int:account_id>/open/", account.open_account, name="open"),
]

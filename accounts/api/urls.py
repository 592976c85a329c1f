"""URLs of the API, without a trailing slash or a redirect to one, which breaks a client's POST."""

from django.urls import path

from accounts.api import jwt_views, users, views
from accounts.api.service_accounts import views as service_accounts

urlpatterns = [
    path("clients/me", views.my_account, name="api-my-account"),
    path("users/me", views.my_user, name="api-my-user"),
    path("users", users.users, name="api-users"),
    path("users/<int:user_id>", users.user, name="api-user"),
    path("clients/invite_user", users.invite_user, name="api-invite-user"),
    path(
        "clients/<int:client_id>/client-users/<int:user_id>",
        users.client_user,
        name="api-client-user",
    ),
    path(
        "clients/<int:client_id>/service_accounts",
        service_accounts.service_accounts,
        name="api-service-accounts",
    ),
    path(
        "clients/<int:client_id>/service_accounts/<int:service_account_id>",
        service_accounts.service_account,
        name="api-service-account",
    ),
    path("activity_log/logins", views.sign_ins, name="api-sign-ins"),
    path("auth/jwt/login", jwt_views.login, name="api-login"),
    path("auth/jwt/refresh", jwt_views.refresh, name="api-refresh"),
    path(
        "auth/jwt/clients/<int:client_id>/login",
        jwt_views.login_to_account,
        name="api-login-to-account",
    ),
]

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("clients/me", views.my_account, name="api-my-account"),
    path("users/me", views.my_user, name="api-my-user"),
]

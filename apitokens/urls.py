from django.urls import path

from apitokens.pages import creation, usage
from apitokens.pages import views as pages

app_name = "apitokens"
urlpatterns = [
    path("", pages.list_tokens, name="list"),
    path("usage/", usage.usage, name="usage"),
    path("create/", creation.create, name="create"),
    path("of/<int:user_id>/delete/", pages.delete_all, name="delete_all"),
    path("<int:pk>/", pages.token, name="token"),
    path("<int:pk>/created/", creation.created, name="created"),
    path("<int:pk>/first-request/", creation.first_request, name="first_request"),
    path("<int:pk>/delete/", pages.delete, name="delete"),
]

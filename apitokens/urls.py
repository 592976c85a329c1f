from django.urls import path

from apitokens.pages import views as pages

app_name = "apitokens"
urlpatterns = [
    path("", pages.list_tokens, name="list"),
    path("create/", pages.create, name="create"),
    path("of/<int:user_id>/delete/", pages.delete_all, name="delete_all"),
    path("<int:pk>/", pages.token, name="token"),
    path("<int:pk>/delete/", pages.delete, name="delete"),
]

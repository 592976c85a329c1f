from django.urls import path

from apitokens.pages import views as pages
from apitokens.pages.selection import views as selection

app_name = "apitokens"
urlpatterns = [
    path("", pages.list_tokens, name="list"),
    path("create/", pages.create, name="create"),
    path("export.csv", pages.export, name="export"),
    path("view/", pages.choose_view, name="choose_view"),
    path("selection/", selection.select, name="select"),
    path("selection/delete/", selection.delete_selected, name="delete_selected"),
    path("of/<int:user_id>/delete/", pages.delete_all, name="delete_all"),
    path("<int:pk>/", pages.token, name="token"),
    path("<int:pk>/delete/", pages.delete, name="delete"),
]

from django.urls import path

from apitokens.pages import lookup, usage
from apitokens.pages import views as pages
from apitokens.pages.access import views as access
from apitokens.pages.creation import views as creation
from apitokens.pages.edit import views as edit
from apitokens.pages.handover import views as handover
from apitokens.pages.rotate import views as rotate
from apitokens.pages.selection import views as selection
from apitokens.pages.services import views as services

app_name = "apitokens"
urlpatterns = [
    path("", pages.list_tokens, name="list"),
    path("access/", access.access, name="access"),
    path("usage/", usage.usage, name="usage"),
    path("look-up/", lookup.look_up_token, name="look_up"),
    path("export.csv", pages.export, name="list_file"),
    path("view/", pages.choose_view, name="choose_view"),
    path("selection/", selection.select, name="select"),
    path("selection/delete/", selection.delete_selected, name="delete_selected"),
    path("selection/hand-over/", handover.hand_over_selected, name="hand_over_selected"),
    path("services/", services.list_services, name="services"),
    path("services/new/", services.register, name="new_service"),
    path("services/<int:pk>/", services.edit, name="edit_service"),
    path("services/<int:pk>/remove/", services.remove, name="remove_service"),
    path("create/", creation.create, name="create"),
    path("of/<int:user_id>/delete/", pages.delete_all, name="delete_all"),
    path("<int:pk>/", pages.token, name="token"),
    path("<int:pk>/created/", creation.created, name="created"),
    path("<int:pk>/first-request/", creation.first_request, name="first_request"),
    path("<int:pk>/edit/", edit.edit, name="edit"),
    path("<int:pk>/rotate/", rotate.rotate, name="rotate"),
    path("<int:pk>/rotated/", rotate.rotated, name="rotated"),
    path("<int:pk>/old-secret/end/", rotate.end_old_secret, name="end_old_secret"),
    path("<int:pk>/delete/", pages.delete, name="delete"),
]

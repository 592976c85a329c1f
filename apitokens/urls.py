from django.urls import path

from apitokens import views

app_name = "apitokens"
urlpatterns = [
    path("", views.list_tokens, name="list"),
    path("create/", views.create, name="create"),
    path("of/<int:user_id>/delete/", views.delete_all, name="delete_all"),
    path("<int:pk>/", views.token, name="token"),
    path("<int:pk>/delete/", views.delete, name="delete"),
]

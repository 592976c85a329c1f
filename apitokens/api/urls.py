"""Paths have no trailing slash, and no redirect to one: that would break a client's POST."""

from django.urls import path

from apitokens.api import views
from apitokens.api.introspect import introspect
from apitokens.api.verify import verify

urlpatterns = [
    path("auth/verify", verify, name="api-verify"),
    path("auth/introspect", introspect, name="api-introspect"),
    path("clients/<int:client_id>/tokens", views.Tokens.as_view(), name="api-tokens-v1"),
    path(
        "clients/<int:client_id>/tokens/<int:token_id>",
        views.Token.as_view(),
        name="api-token-v1",
    ),
    path("v2/clients/<int:client_id>/tokens", views.TokensV2.as_view(), name="api-tokens-v2"),
    path(
        "v2/clients/<int:client_id>/tokens/<int:token_id>",
        views.TokenV2.as_view(),
        name="api-token-v2",
    ),
]

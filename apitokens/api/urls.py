"""Paths have no trailing slash, and no redirect to one: that would break a client's POST."""

from django.urls import path

from apitokens.api import views
from apitokens.api.introspect import introspect
from apitokens.api.introspect_batch import introspect_batch
from apitokens.api.lookup import LookUpV1, LookUpV2
from apitokens.api.selection.deletion import DeletionV1, DeletionV2
from apitokens.api.selection.export import ExportV1, ExportV2
from apitokens.api.selection.handover import HandoverV1, HandoverV2
from apitokens.api.service_registry import OneService, Services
from apitokens.api.verify import verify

urlpatterns = [
    path("auth/verify", verify, name="api-verify"),
    path("auth/introspect", introspect, name="api-introspect"),
    path("auth/introspect/batch", introspect_batch, name="api-introspect-batch"),
    path("clients/<int:client_id>/services", Services.as_view(), name="api-services"),
    path("clients/<int:client_id>/services/<slug:code>", OneService.as_view(), name="api-service"),
    path("clients/<int:client_id>/tokens", views.Tokens.as_view(), name="api-tokens-v1"),
    path("clients/<int:client_id>/tokens/delete", DeletionV1.as_view(), name="api-delete-v1"),
    path("clients/<int:client_id>/tokens/export.csv", ExportV1.as_view(), name="api-export-v1"),
    path("clients/<int:client_id>/tokens/hand_over", HandoverV1.as_view(), name="api-hand-over-v1"),
    path("clients/<int:client_id>/tokens/look_up", LookUpV1.as_view(), name="api-look-up-v1"),
    path(
        "clients/<int:client_id>/tokens/<int:token_id>",
        views.Token.as_view(),
        name="api-token-v1",
    ),
    path(
        "clients/<int:client_id>/tokens/<int:token_id>/rotate",
        views.Rotate.as_view(),
        name="api-rotate-v1",
    ),
    path(
        "clients/<int:client_id>/tokens/<int:token_id>/old_secret",
        views.OldSecret.as_view(),
        name="api-old-secret-v1",
    ),
    path("v2/clients/<int:client_id>/tokens", views.TokensV2.as_view(), name="api-tokens-v2"),
    path("v2/clients/<int:client_id>/tokens/delete", DeletionV2.as_view(), name="api-delete-v2"),
    path("v2/clients/<int:client_id>/tokens/export.csv", ExportV2.as_view(), name="api-export-v2"),
    path("v2/clients/<int:client_id>/tokens/look_up", LookUpV2.as_view(), name="api-look-up-v2"),
    path(
        "v2/clients/<int:client_id>/tokens/hand_over",
        HandoverV2.as_view(),
        name="api-hand-over-v2",
    ),
    path(
        "v2/clients/<int:client_id>/tokens/<int:token_id>",
        views.TokenV2.as_view(),
        name="api-token-v2",
    ),
    path(
        "v2/clients/<int:client_id>/tokens/<int:token_id>/rotate",
        views.RotateV2.as_view(),
        name="api-rotate-v2",
    ),
    path(
        "v2/clients/<int:client_id>/tokens/<int:token_id>/old_secret",
        views.OldSecretV2.as_view(),
        name="api-old-secret-v2",
    ),
]

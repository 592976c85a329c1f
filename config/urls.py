"""The root URLconf."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="apitokens:list"), name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("", include("accounts.sign_in.urls")),
    path("", include("sso.urls")),
    path("", include("accounts.urls")),
    path("", include("notifications.urls")),
    path("profile/api-tokens/", include("apitokens.urls")),
    path("iam/", include("accounts.api.urls")),
    path("iam/", include("apitokens.api.urls")),
    path("iam/openapi.json", views.openapi, name="openapi"),
    path("iam/docs", views.docs, name="api-docs"),
    path("operators/", admin.site.urls),
]

handler400 = "config.views.bad_request"
handler403 = "config.views.permission_denied"
handler404 = "config.views.page_not_found"
handler500 = "config.views.server_error"
handler429 = "config.views.too_many_requests"  # django-allauth asks for this one

"""The root URLconf."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from accounts.tenancy import views as tenancy
from config import views
from operations.metrics.views import metrics
from operations.probes import views as probes

urlpatterns: list[URLPattern | URLResolver] = [
    path("", tenancy.in_last_account, name="home"),
    path("livez", probes.livez, name="livez"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("healthz", probes.healthz, name="healthz"),
    path("", include("accounts.sign_in.urls")),
    path("", include("sso.urls")),
    path("", include("accounts.urls")),
    path("", include("notifications.urls")),
    path("accounts/<int:account_id>/api-tokens/", include("apitokens.urls")),
    path("iam/", include("accounts.api.urls")),
    path("iam/", include("apitokens.api.urls")),
    path("iam/openapi.json", views.openapi, name="openapi"),
    path("iam/docs", views.docs, name="api-docs"),
    path("operators/", admin.site.urls),
    # The last, because others begin like them.
    re_path(tenancy.PATTERN, tenancy.in_last_account, name="in_last_account"),
]

handler400 = "config.views.bad_request"
handler403 = "config.views.permission_denied"
handler404 = "config.views.page_not_found"
handler500 = "config.views.server_error"
handler429 = "config.views.too_many_requests"  # django-allauth asks for this one

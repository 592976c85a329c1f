"""App configuration: loads audit labels, signal receivers, SSO hooks and e-mail renderers."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SsoConfig(AppConfig):
    name = "sso"
    verbose_name = _("Single sign-on")

    def ready(self) -> None:
        from sso import audit_labels  # noqa: F401  # registered by import, as the others
        from sso.connections import certificate_notices  # noqa: F401
        from sso.enforcement import services, signals  # noqa: F401
        from sso.inactivity import notifications  # noqa: F401

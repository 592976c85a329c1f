"""The app of single sign-on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SsoConfig(AppConfig):
    name = "sso"
    verbose_name = _("Single sign-on")

    def ready(self) -> None:
        from sso import (  # noqa: F401  # they register themselves
            audit_words,
            certificate_notices,
            doors,
            forcing,
            idle_news,
        )

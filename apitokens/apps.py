from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class APITokensConfig(AppConfig):
    name = "apitokens"
    verbose_name = _("API tokens")

    def ready(self) -> None:
        from apitokens import (  # noqa: F401  # they register themselves
            audit_words,
            checks,
            expiry_mail,
            issuers,
        )

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class APITokensConfig(AppConfig):
    name = "apitokens"
    verbose_name = _("API tokens")

    def ready(self) -> None:
        from apitokens import checks, leaving  # noqa: F401  # registers checks and the receiver

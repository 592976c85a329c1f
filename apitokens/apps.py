from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class APITokensConfig(AppConfig):
    name = "apitokens"
    verbose_name = _("API tokens")

    def ready(self) -> None:
        from apitokens import (  # register themselves, as below
            audit_labels,  # noqa: F401
            checks,  # noqa: F401
            log_redaction,
            pepper_checks,  # noqa: F401
        )
        from apitokens.cache import in_force  # noqa: F401
        from apitokens.expiry import emails  # noqa: F401
        from apitokens.tokens import signals  # noqa: F401

        log_redaction.install()

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Users and accounts")

    def ready(self) -> None:
        from accounts import rows_by_id  # noqa: F401  # the lookup `among`
        from accounts.invitations import emails  # noqa: F401  # registers itself, as the others do
        from accounts.service_accounts import emails as contact_emails  # noqa: F401
        from accounts.sign_in import allauth_adapter  # noqa: F401
        from accounts.sign_in import emails as security_emails  # noqa: F401
        from accounts.tenancy import notification_hooks  # noqa: F401
        from accounts.text import sqlite  # noqa: F401

"""The operators' site: the Django admin under the product's name. It brings the portal's checks."""

from django.contrib.admin.apps import AdminConfig


class OperatorsSite(AdminConfig):
    default_site = "config.admin_site.OperatorsAdminSite"

    def ready(self) -> None:
        super().ready()
        from config.server import checks  # noqa: F401  # registers itself

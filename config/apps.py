"""The operators' site: the Django admin under the product's name."""

from django.contrib.admin.apps import AdminConfig
from django.db.backends.signals import connection_created

from config.database import read_only


class OperatorsSite(AdminConfig):
    default_site = "config.admin_site.OperatorsAdminSite"

    def ready(self) -> None:
        super().ready()
        connection_created.connect(read_only.watch)

"""The operators' site, the Django admin under the product's name; and which static files are
collected."""

from django.contrib.admin.apps import AdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.db import connection
from django.db.backends.signals import connection_created

from config.database import read_only


class OperatorsSite(AdminConfig):
    default_site = "config.admin_site.OperatorsAdminSite"

    def ready(self) -> None:
        super().ready()
        connection_created.connect(read_only.watch)
        if connection.vendor == "postgresql":
            from config.database import instants  # loads psycopg, which SQLite needs nothing of

            connection_created.connect(instants.register)


class StaticFiles(StaticFilesConfig):
    """Leaves out what belongs to pages that the portal does not have: REST framework's, which are
    half of all there is to compress at a first start."""

    ignore_patterns = (*StaticFilesConfig.ignore_patterns, "rest_framework")

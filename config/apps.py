"""The operators' site: the Django admin under the product's name."""

from django.contrib.admin.apps import AdminConfig


class OperatorsSite(AdminConfig):
    default_site = "config.admin_site.OperatorsAdminSite"

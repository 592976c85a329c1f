"""App configuration. It has no models: Django finds the command `migrate` by it."""

from django.apps import AppConfig


class UpgradesConfig(AppConfig):
    name = "upgrades"

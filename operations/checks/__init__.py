"""System checks of an installation: what it reaches, and how. `manage.py doctor` words them."""

from operations.checks import database, encryption, servers

__all__ = ["database", "encryption", "servers"]

"""Mails and a mail server, as the tests of their delivery have them."""

from tests.notifications.conftest import impatience, mail, server  # noqa: F401

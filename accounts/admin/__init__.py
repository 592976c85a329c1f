"""The Django admin of accounts, users, members, invitations, mails and the audit log."""

from accounts.admin import accounts, mails, members  # noqa: F401  # register their pages

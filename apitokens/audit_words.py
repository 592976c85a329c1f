"""What the audit log calls the events of API tokens."""

from django.utils.translation import gettext_lazy as _

from accounts.audit_words import name_events

name_events(
    _("API tokens"),
    {
        "token.issued": _("API token created"),
        "token.issue_refused": _("Creating an API token refused"),
        "token.deleted": _("API token deleted"),
        "token.all_deleted": _("All API tokens of a user deleted"),
        "token.delete_refused": _("Deleting an API token refused"),
        "token.refused": _("API token refused"),
        "token.used_from_new_address": _("API token used from a new address"),
        "token.digests_forgotten": _("Digests of deleted API tokens forgotten"),
        "verifier.issued": _("Verifier key created"),
        "verifier.deleted": _("Verifier key deleted"),
    },
)

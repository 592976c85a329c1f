"""Labels of the events of API tokens in the audit log."""

from django.utils.translation import gettext_lazy as _

from accounts.audit.labels import name_codes, name_details, name_events

name_events(
    _("API tokens"),
    {
        "token.issued": _("API token created"),
        "token.issue_refused": _("API token creation rejected"),
        "token.edited": _("API token edited"),
        "token.edit_refused": _("API token edit rejected"),
        "token.rotated": _("API token rotated"),
        "token.rotate_refused": _("API token rotation rejected"),
        "token.old_secret_ended": _("Old secret of an API token ended"),
        "token.handed_over": _("API token handed over"),
        "token.hand_over_refused": _("API token handover rejected"),
        "token.deleted": _("API token deleted"),
        "token.all_deleted": _("All of a user's API tokens deleted"),
        "token.delete_refused": _("API token deletion rejected"),
        "token.refused": _("API token rejected"),
        "token.looked_up": _("API token looked up"),
        "token.used_from_new_address": _("API token used from a new IP address"),
        "token.digests_purged": _("Deleted-token digests purged"),
        "service.registered": _("Service registered"),
        "service.edited": _("Service edited"),
        "service.removed": _("Service removed"),
        "verifier.issued": _("Verifier key created"),
        "verifier.deleted": _("Verifier key deleted"),
    },
)
name_codes(
    "token.issue_refused",
    {
        "role_too_high": _("Role higher than their own"),
        "scope_too_wide": _("Scopes that the API token used to create it lacks"),
        "limit_reached": _("Active API token limit reached"),
        "outlives_creator": _("It would have outlived the API token used to create it"),
        "wider_than_creator": _("It would have worked where the API token that acts doesn't"),
        "forbidden": _("No permission"),
    },
)
name_codes(
    "token.edit_refused",
    {
        "role_raised": _("Higher role than it had"),
        "scope_too_wide": _("Scopes that the API token used to edit it lacks"),
        "expiration_later": _("Later expiration than it had"),
        "wider_than_creator": _("It would have worked where the API token that acts doesn't"),
        "forbidden": _("No permission"),
    },
)
name_codes(
    "token.rotate_refused",
    {
        "outlives_creator": _("It would have outlived the API token that requested it"),
        "wider_than_creator": _("It works where the API token that acts doesn't"),
        "suspended": _("It is suspended"),
        "forbidden": _("No permission"),
    },
)
name_codes(
    "token.hand_over_refused",
    {"role_too_high": _("Role higher than the receiver's"), "forbidden": _("No permission")},
)
name_codes("token.delete_refused", {"forbidden": _("No permission")})
name_codes(
    "token.refused",
    {
        "deleted": _("Deleted"),
        "expired": _("Expired"),
        "issuer_inactive": _("Issuer or account not active"),
        "rotated": _("Old secret used"),
        "address_not_allowed": _("Address not allowed"),
    },
)
name_details(
    {
        "former_name": _("Former name"),
        "former_role": _("Former role"),
        "former_scopes": _("Former scopes"),
        "scopes": _("Scopes"),
        "service": _("Service"),
        "former_expires_at": _("Former expiration"),
        "is_description_changed": _("Description changed"),
        "old_ends_at": _("Old secret works until"),
        "allowed_addresses": _("Allowed addresses"),
        "former_allowed_addresses": _("Formerly allowed addresses"),
    }
)

"""Names of audit events and of their details. Apps above add theirs with `name_events`."""

from collections.abc import Mapping
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Words = str | Promise


class Group(NamedTuple):
    """A group of events, as the filter lists them: kinds and their names."""

    title: Words
    kinds: dict[str, Words]


GROUPS: list[Group] = [
    Group(
        _("Sign-in"),
        {
            "sign_in.succeeded": _("Signed in"),
            "sign_in.refused": _("Sign-in rejected"),
            "sign_out": _("Signed out"),
            "session.ended": _("Session ended"),
            "jwt.issued": _("Signed in through the API"),
            "jwt.reused": _("Refresh token reused: session revoked"),
        },
    ),
    Group(
        _("Users and roles"),
        {
            "member.added": _("User added to the account"),
            "member.role_changed": _("Role changed"),
            "member.removed": _("User removed from the account"),
            "member.left": _("User left the account"),
            "member.tokens_suspended": _("User's API tokens suspended"),
            "member.tokens_resumed": _("User's API tokens reinstated"),
            "service_account.created": _("Service account created"),
            "service_account.edited": _("Service account edited"),
            "service_account.contact_asked": _("Contact address asked again"),
            "service_account.contact_confirmed": _("Contact address confirmed"),
            "service_account.contact_declined": _("Contact address declined"),
            "service_account.switched_off": _("Service account turned off"),
            "service_account.switched_on": _("Service account turned on"),
            "service_account.issuer_dropped": _(
                "Member with a lower role can no longer issue tokens for the service account"
            ),
            "invitation.sent": _("Invitation sent"),
            "invitation.sent_again": _("Invitation resent"),
            "invitation.withdrawn": _("Invitation withdrawn"),
            "invitation.accepted": _("Invitation accepted"),
            "invitation.refused": _("Invitation rejected"),
        },
    ),
    Group(
        _("Profile and security"),
        {
            "profile.changed": _("Profile changed"),
            "email.change_requested": _("Email change requested"),
            "email.changed": _("Email changed"),
            "email.confirmed": _("Email confirmed"),
            "password.reset_requested": _("Password reset requested"),
            "user.password_set": _("Password set"),
            "two_factor.added": _("Second factor added"),
            "two_factor.removed": _("Second factor removed"),
            "two_factor.codes_renewed": _("Recovery codes regenerated"),
            "mfa.disabled": _("Two-factor authentication turned off"),
            "user.signed_up": _("User signed up"),
            "user.sign_up_discarded": _("Unconfirmed sign-up discarded"),
            "user.created": _("User created"),
            "user.deactivated": _("User deactivated"),
            "user.reactivated": _("User reactivated"),
            "user.made_operator": _("User made an operator"),
        },
    ),
    Group(
        _("Account"),
        {
            "account.opened": _("Account created"),
            "account.renamed": _("Account renamed"),
            "account.limit_changed": _("Token limit changed"),
            "account.closed": _("Account closed"),
            "account.reopened": _("Account reopened"),
            "mail.retried": _("Email resent"),
            "audit.pruned": _("Old audit events deleted"),
            "database.restored": _("Database restored from a backup"),
        },
    ),
]

RENAMED = {
    "email.change_asked": "email.change_requested",
    "password.reset_asked": "password.reset_requested",
    "sso.domain_asked": "sso.domain_requested",
    "sso.force_ended": "sso.enforcement_disabled",
    "token.digests_forgotten": "token.digests_purged",
    "two_factor.switched_off": "mfa.disabled",
    "user.restored": "user.reactivated",
}
"""Former codes of events, and the present ones. Nobody edits the log: rows keep the code that was
written, and are shown, filtered and exported under the present one."""

DETAILS: dict[str, Words] = {
    "account_name": _("Account"),
    "after": _("After"),
    "auth_type": _("Method"),
    "before": _("Before"),
    "code": _("Reason"),
    "count": _("Count"),
    "email": _("Email"),
    "expires_at": _("Expiration"),
    "factor": _("Second factor"),
    "former_issuer": _("Formerly issued by"),
    "is_contact_changed": _("Contact changed"),
    "is_contact_email_changed": _("Contact address changed"),
    "is_first_use": _("First use"),
    "is_issuers_changed": _("Members who may issue tokens changed"),
    "issuer": _("Issued by"),
    "name": _("Name"),
    "of": _("Where"),
    "request_id": _("Request ID"),
    "role": _("Role"),
    "second_factor": _("Second factor"),
    "user_agent": _("Browser or client"),
    "why": _("Details"),
}

_FACTORS: dict[str, Words] = {
    "totp": _("Authenticator app"),
    "webauthn": _("Passkey"),
    "recovery_codes": _("Recovery codes"),
}

VALUES: dict[str, dict[str, Words]] = {
    "auth_type": {
        "password": _("Password"),
        "passkey": _("Passkey"),
        "jwt": _("Password (API)"),
        "sso": _("Single sign-on"),
    },
    "factor": _FACTORS,
    "second_factor": _FACTORS,
}
"""Names of details' values that are codes."""

CODES: dict[str, dict[str, Words]] = {
    "sign_in.refused": {
        "bad_credentials": _("Wrong email or password"),
        "one_time_password": _("Missing or incorrect code"),
        "ended_meanwhile": _("Changed after the sign-in had begun"),
        "sso_forced": _("Must sign in through the identity provider"),
    },
    "user.sign_up_discarded": {
        "late": _("The address wasn't confirmed in time"),
        "vouched_for": _("A person with this address signed in through single sign-on"),
    },
    "invitation.refused": {
        "too_many_invitations": _("Too many invitations within 24 hours"),
        "used": _("Already accepted"),
        "withdrawn": _("Withdrawn"),
        "replaced": _("Link from an older email"),
        "late": _("Opened after the link had expired"),
        "inviter_left": _("The sender is no longer an Administrator"),
        "closed": _("The account is closed"),
        "other_person": _("Opened while signed in as another user"),
    },
}
"""Names of reasons, by the kind of event."""

ENTRY_POINTS: dict[str, Words] = {
    "portal": _("Portal"),
    "api": _("API"),
    "admin": _("Operator pages"),
    "command": _("Command line"),
    "system": _("System"),
}


def name_events(title: Words, kinds: Mapping[str, Words]) -> None:
    """Add a group of events, before those about the account as such."""
    if all(group.title != title for group in GROUPS):
        GROUPS.insert(-1, Group(title, dict(kinds)))


def name_details(names: Mapping[str, Words]) -> None:
    """Add names of details."""
    DETAILS.update(names)


def name_codes(kind: str, names: Mapping[str, Words]) -> None:
    """Add names of reasons of such events."""
    CODES.setdefault(kind, {}).update(names)


def present_code(kind: str) -> str:
    """The code under which such an event is written today."""
    return RENAMED.get(kind, kind)


def stored_codes(kind: str) -> list[str]:
    """All codes under which rows of such an event may be stored."""
    present = present_code(kind)
    return [present, *(former for former, code in RENAMED.items() if code == present)]


def event_name(kind: str) -> str:
    """The name of an event; its code, if nobody named it."""
    kind = present_code(kind)
    return next((str(group.kinds[kind]) for group in GROUPS if kind in group.kinds), kind)


def detail_name(key: str) -> str:
    return str(DETAILS.get(key) or key.replace("_", " ").capitalize())


def code_name(kind: str, code: str) -> str:
    return str(CODES.get(kind, {}).get(code, code))


def value_name(key: str, value: str) -> str:
    return str(VALUES.get(key, {}).get(value, value))


def entry_point_name(through: str) -> str:
    return str(ENTRY_POINTS.get(through, through))


def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """All kinds, in groups, as the choices of a form field."""
    return [
        (str(group.title), [(kind, str(name)) for kind, name in group.kinds.items()])
        for group in GROUPS
    ]

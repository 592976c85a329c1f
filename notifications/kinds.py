"""The kinds of notices. A new kind is one entry here, and the app that owns it registers a
renderer (`notifications.email.rendering.register_renderer`)."""

from dataclasses import dataclass
from enum import StrEnum

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy


class Channel(models.TextChoices):
    """How a notice reaches a person."""

    EMAIL = "email", _("Email")
    PORTAL = "portal", _("Portal")


class Group(StrEnum):
    """The headings of the settings page."""

    GENERAL = "general"
    SECURITY = "security"


class Audience(StrEnum):
    """Whom notices of a kind can reach, in an account."""

    EVERYBODY = "everybody"
    ADMINISTRATORS = "administrators"
    SINGLE_SIGN_ON = "single_sign_on"
    """Everybody, where the account has an identity provider."""
    SINGLE_SIGN_ON_ADMINISTRATORS = "single_sign_on_administrators"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice: its stable code, its name, one sentence, the words of the link to whatever
    it is about (by their `count`), where it goes by default, and whom it can reach.

    One that is not optional is a mail that the reader has asked for, or must not miss: it cannot be
    turned off, and is no choice on the settings page.
    """

    code: str
    name: Promise
    sentence: Promise
    group: Group
    action: Promise
    default_channels: frozenset[Channel] = frozenset(Channel)
    is_optional: bool = True
    audience: Audience = Audience.EVERYBODY

    def action_for(self, count: int) -> str:
        """What the link says when the notice is about this many things."""
        return str(self.action % {"count": count})


TOKEN_EXPIRING = Kind(
    "token_expiring",
    _("API token is expiring"),
    _("Notification is sent when one of your API tokens is about to expire."),
    Group.GENERAL,
    ngettext_lazy("Show this token", "Show these tokens", "count"),
)
TOKEN_CHANGED_BY_OTHERS = Kind(
    "token_changed_by_others",
    _("Your API token changed by someone else"),
    _(
        "Notification is sent when someone else creates an API token in your name, or edits, "
        "rotates, hands over or deletes one of yours or of a service account you manage."
    ),
    Group.SECURITY,
    ngettext_lazy("Show details", "Show details", "count"),
)
TOKEN_CHANGED_IN_ACCOUNT = Kind(
    "token_changed_in_account",
    _("Any API token changed"),
    _(
        "Notification is sent to Administrators when someone else creates, edits, rotates or "
        "deletes an API token of the account."
    ),
    Group.SECURITY,
    ngettext_lazy("Show details", "Show details", "count"),
    default_channels=frozenset(),
    audience=Audience.ADMINISTRATORS,
)
TOKEN_USED_FROM_NEW_ADDRESS = Kind(
    "token_used_from_new_address",
    _("API token with the role Administrators used from a new IP address"),
    _(
        "Notification is sent when an API token with the role Administrators is used from an IP "
        "address it wasn't used from in the last 90 days."
    ),
    Group.SECURITY,
    ngettext_lazy("Show this token", "Show these tokens", "count"),
    audience=Audience.ADMINISTRATORS,
)
TOKEN_USED_FROM_ELSEWHERE = Kind(
    "token_used_from_elsewhere",
    _("API token used from an address that isn't allowed"),
    _(
        "Notification is sent when an API token is rejected because its list of allowed addresses "
        "doesn't have the address: to you for your tokens, and to Administrators for all."
    ),
    Group.SECURITY,
    ngettext_lazy("Show details", "Show details", "count"),
)
STAYED_AWAY = Kind(
    "stayed_away",
    _("API tokens of inactive SSO users"),
    _(
        "Notification is sent when an account's rule about people who no longer sign in through "
        "its provider takes effect: to Administrators, and to you if your API tokens are "
        "suspended."
    ),
    Group.SECURITY,
    ngettext_lazy("Show API tokens", "Show API tokens", "count"),
    audience=Audience.SINGLE_SIGN_ON,
)
CERTIFICATE_ENDING = Kind(
    "certificate_ending",
    _("Single sign-on certificate is expiring"),
    _(
        "Notification is sent to Administrators when the identity provider's certificate is "
        "about to expire. After that, no one can sign in through it."
    ),
    Group.SECURITY,
    ngettext_lazy("Show single sign-on settings", "Show single sign-on settings", "count"),
    audience=Audience.SINGLE_SIGN_ON_ADMINISTRATORS,
)

EMAIL_ONLY = frozenset({Channel.EMAIL})
INVITATION = Kind(
    "invitation",
    _("Invitation"),
    _("Email is sent when you are invited to an account."),
    Group.GENERAL,
    ngettext_lazy("Accept the invitation", "Accept the invitations", "count"),
    EMAIL_ONLY,
    is_optional=False,
)
CONFIRM_ADDRESS = Kind(
    "confirm_address",
    _("Address confirmation"),
    _("Email is sent to check that an address is yours."),
    Group.SECURITY,
    ngettext_lazy("Confirm this address", "Confirm these addresses", "count"),
    EMAIL_ONLY,
    is_optional=False,
)
ADDRESS_KNOWN = Kind(
    "address_known",
    _("Address already in use"),
    _("Email is sent when someone tries to use your address for another user."),
    Group.SECURITY,
    ngettext_lazy("Set a new password", "Set new passwords", "count"),
    EMAIL_ONLY,
    is_optional=False,
)
CONFIRM_CONTACT = Kind(
    "confirm_contact",
    _("Contact confirmation"),
    _("Email is sent to ask whether an address wants to be the contact of a service account."),
    Group.GENERAL,
    ngettext_lazy("Confirm or decline", "Confirm or decline", "count"),
    EMAIL_ONLY,
    is_optional=False,
)
RESET_PASSWORD = Kind(
    "reset_password",
    _("Forgotten password"),
    _("Email is sent when you ask to reset your password."),
    Group.SECURITY,
    ngettext_lazy("Set a new password", "Set new passwords", "count"),
    EMAIL_ONLY,
    is_optional=False,
)
SECURITY = Kind(
    "security",
    _("Sign-in security"),
    _("Email is sent when your password, email address or second factors change."),
    Group.SECURITY,
    ngettext_lazy("Review your sign-in settings", "Review your sign-in settings", "count"),
    EMAIL_ONLY,
    is_optional=False,
)

EVERY_KIND = {
    kind.code: kind
    for kind in (
        TOKEN_EXPIRING,
        TOKEN_CHANGED_BY_OTHERS,
        TOKEN_CHANGED_IN_ACCOUNT,
        TOKEN_USED_FROM_NEW_ADDRESS,
        TOKEN_USED_FROM_ELSEWHERE,
        STAYED_AWAY,
        CERTIFICATE_ENDING,
        INVITATION,
        CONFIRM_ADDRESS,
        ADDRESS_KNOWN,
        CONFIRM_CONTACT,
        RESET_PASSWORD,
        SECURITY,
    )
}
KINDS = {code: kind for code, kind in EVERY_KIND.items() if kind.is_optional}
"""What people choose from."""
GROUP_NAMES = {Group.GENERAL: _("General"), Group.SECURITY: _("Security")}

"""Reasons why a SAML message or login is refused.

The browser gets one page for all of them. The reason is an audit event for the account's
Administrators.
"""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

REASONS: dict[str, Promise] = {
    # The message cannot be parsed, or has an unexpected structure.
    "nothing": _("The provider's response was empty."),
    "too_large": _("The provider's response was too large."),
    "not_base64": _("The provider's response was not valid Base64."),
    "encoding": _("The provider's response was not valid UTF-8."),
    "doctype": _(
        "The provider's response contained a document type or entities, which are not allowed."
    ),
    "not_xml": _("The provider's response was not XML."),
    "odd_node": _("The provider's response contained comments or processing instructions."),
    "not_a_response": _("What the provider sent was not a SAML 2.0 response."),
    "status": _("The provider reported that the user couldn't sign in there."),
    "shape": _("The response didn't contain exactly one assertion in the expected place."),
    "duplicate_id": _("The response contained the same ID twice."),
    "encrypted": _(
        "The assertion was encrypted. Turn off encryption at the provider: the portal has no key."
    ),
    # It does not come from the provider, as far as the signatures prove.
    "unsigned": _("The assertion was not signed. Configure the provider to sign assertions."),
    "unsigned_response": _(
        "The response around the assertion was not signed, although it was in the test. If the "
        "provider has changed, test it again."
    ),
    "signature_shape": _("A signature in the response didn't cover the right element."),
    "algorithm": _(
        "The response was signed with an insecure method. Configure the provider to sign with "
        "RSA or ECDSA and SHA-256."
    ),
    "signature": _("A signature didn't match or was made with a different certificate."),
    "no_certificate": _(
        "None of the provider's certificates is currently valid. Upload its new metadata."
    ),
    "issuer": _("The response came from a different provider."),
    "invalid": _("The response violated a rule of SAML 2.0."),
    # It is for another recipient, request or time.
    "audience": _("The response was not meant for this portal: its audience is different."),
    "destination": _("The response was sent to a different address than its destination says."),
    "recipient": _("The response was not meant for this address: its recipient is different."),
    "too_early": _(
        "The response is not valid yet. Check the clocks of the provider and the portal."
    ),
    "too_late": _("The response was too old. Check the clocks of the provider and the portal."),
    "unsolicited": _("No one had requested this response: sign-in has to start at the portal."),
    "other_request": _(
        "The response didn't match a request from this browser, or the request was too long ago."
    ),
    "replayed": _("The same assertion has already been used to sign in."),
    "not_fresh": _("The provider didn't ask the user to sign in again."),
    "other_person": _("A different user came back from the provider."),
    # It does not identify the user.
    "no_name": _("The response didn't identify the user (NameID)."),
    "transient": _(
        "The provider identifies people by a different name each time. Configure it to send a "
        "persistent NameID or the email address."
    ),
    "no_email": _("The response contained no email address in the configured place."),
    # The user may not sign in to this account.
    "switched_off": _("Single sign-on is turned off, or the account is closed."),
    "domain": _("The address is not in any of the approved domains."),
    "operator": _("Operators of the portal can't sign in through a provider."),
    "inactive": _("The user is deactivated."),
    "removed": _("The user was removed from the account. Invite them again."),
    "other_account": _("The user belongs only to other accounts. Invite them."),
    "other_provider": _("Another account requires the user to sign in through its own provider."),
    "other_name": _("The user is linked to a different identity at the provider."),
    "no_new_people": _("The account doesn't accept new users through the provider."),
    "no_room": _("Too many new users joined within 24 hours."),
}


class Refused(Exception):
    """The message or login is refused. `code` is a key of `REASONS`; `name_id` and `email` are what
    the message claims, as far as it is known."""

    def __init__(self, code: str, *, name_id: str = "", email: str = "") -> None:
        super().__init__(code)
        assert code in REASONS, code
        self.code, self.name_id, self.email = code, name_id, email


def describe_reason(code: str) -> str:
    """The reason as a sentence for Administrators."""
    return str(REASONS.get(code, code))

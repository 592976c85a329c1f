"""Reasons why a SAML message or login is refused.

The browser gets one page for all of them. The reason is an audit event for the account's
Administrators.
"""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

REASONS: dict[str, Promise] = {
    # The message cannot be parsed, or has an unexpected structure.
    "nothing": _("The provider's answer was empty."),
    "too_large": _("The provider's answer was larger than any answer should be."),
    "not_base64": _("The provider's answer was not in base64."),
    "encoding": _("The provider's answer was not in UTF-8."),
    "doctype": _("The provider's answer had a document type or entities, which none should have."),
    "not_xml": _("The provider's answer was not XML."),
    "odd_node": _("The provider's answer had comments or processing instructions in it."),
    "not_a_response": _("What arrived was no SAML 2.0 response."),
    "status": _("The provider said that the person could not sign in there."),
    "shape": _("The response had not exactly one assertion where one belongs."),
    "duplicate_id": _("The response had one ID twice."),
    "encrypted": _(
        "The assertion was encrypted. Switch encryption off at the provider: the portal has no key."
    ),
    # It does not come from the provider, as far as the signatures prove.
    "unsigned": _("The assertion was not signed. Let the provider sign assertions."),
    "unsigned_response": _(
        "The response around the assertion was not signed, as it was in the test. If the provider "
        "was changed, test it again."
    ),
    "signature_shape": _("A signature in the response did not sign what it should."),
    "algorithm": _(
        "The response was signed by a method that is not safe. Let the provider sign with RSA or "
        "ECDSA and SHA-256."
    ),
    "signature": _("A signature did not fit, or was made with another certificate."),
    "no_certificate": _("No certificate of the provider is valid now. Bring its new metadata."),
    "issuer": _("Another provider wrote the response."),
    "invalid": _("The response broke a rule of SAML 2.0."),
    # It is for another recipient, request or time.
    "audience": _("The response was not meant for this portal: its audience is another."),
    "destination": _("The response was sent to another address than its destination says."),
    "recipient": _("The response was not meant for this address: its recipient is another."),
    "too_early": _("The response is not valid yet. Check the clocks of provider and portal."),
    "too_late": _("The response was too old. Check the clocks of provider and portal."),
    "unsolicited": _("Nobody had asked for it: people have to begin at the portal."),
    "other_request": _("It answered no request of this browser, or one that was too long ago."),
    "replayed": _("The same assertion had let somebody in before."),
    "not_fresh": _("The provider did not ask the person to sign in again."),
    "other_person": _("Somebody else came back from the provider."),
    # It does not identify the user.
    "no_name": _("The response did not name the person (NameID)."),
    "transient": _(
        "The provider calls people by another name each time. Let it send a persistent NameID, or "
        "the e-mail address."
    ),
    "no_email": _("The response held no e-mail address where the settings look for one."),
    # The user may not sign in to this account.
    "switched_off": _("Single sign-on is switched off, or the account is closed."),
    "domain": _("The address is in none of the approved domains."),
    "operator": _("Operators of the portal do not come in through a provider."),
    "inactive": _("The user is switched off."),
    "removed": _("The user was removed from the account. Invite them again."),
    "other_account": _("The user belongs to other accounts only. Invite them."),
    "other_provider": _("Another account has the user sign in through its own provider only."),
    "other_name": _("The user is linked with another name at the provider."),
    "no_new_people": _("The account takes no new people through the provider."),
    "no_room": _("Too many new people came within 24 hours."),
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

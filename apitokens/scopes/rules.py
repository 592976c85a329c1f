"""Rules about the scopes of a token: which there are, and who may give them."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.authorization.actor import Actor
from accounts.authorization.scopes import OWN_SCOPES, READ
from apitokens.models import Service
from apitokens.scopes.words import MOST_SCOPES, joined

SCOPE_TOO_WIDE = "scope_too_wide"

_OWN_SERVICES = {
    "tokens": gettext_lazy("API tokens"),
    "users": gettext_lazy("Users and service accounts"),
    "audit": gettext_lazy("Sign-ins"),
}
_OWN_NAMES = {
    "tokens:read": gettext_lazy("List and read API tokens"),
    "tokens:write": gettext_lazy("Create, edit, rotate and delete API tokens"),
    "users:read": gettext_lazy("Read the account, its users and service accounts"),
    "users:write": gettext_lazy("Invite, change and remove users and service accounts"),
    "audit:read": gettext_lazy("Read the sign-ins"),
}


class Choice(NamedTuple):
    """A scope that a token can have: the word, and what it means to the reader."""

    word: str
    label: str


class Offer(NamedTuple):
    """A service with its scopes."""

    code: str
    label: str
    choices: list[Choice]


def offers(account_id: int) -> list[Offer]:
    """All that a token of the account can be limited to: the portal's own first. Two queries."""
    own = [
        Offer(code, str(_OWN_SERVICES[code]), [_own(code, each) for each in scopes])
        for code, scopes in OWN_SCOPES.items()
    ]
    return own + [
        Offer(
            service.code,
            service.label,
            [Choice(f"{service.code}:{each.code}", each.label) for each in service.scopes.all()],
        )
        for service in Service.objects.known_in(account_id)
    ]


def labels(account_id: int) -> dict[str, str]:
    """What each scope means to the reader, by the word."""
    return {choice.word: choice.label for offer in offers(account_id) for choice in offer.choices}


def is_read_only(scopes: Iterable[str]) -> bool:
    """True if they only let a token read."""
    return all(word.endswith(f":{READ}") for word in scopes)


def summary(scopes: list[str] | None) -> str:
    """What a token is limited to, in few words; "" for one that is not."""
    if scopes is None:
        return ""
    if scopes and is_read_only(scopes):
        return _("Read only")
    return ngettext("%(count)d scope", "%(count)d scopes", len(scopes)) % {"count": len(scopes)}


def cleaned(
    scopes: Collection[str] | None, *, account_id: int, kept: str | None = None
) -> str | None:
    """The scopes as a token keeps them; None for all that its role allows. What it has already
    (`kept`) may stay. Raises `ValidationError` with the codes `required`, `too_many` and `unknown`.

    Services with one of them cannot lose it until the transaction ends.
    """
    if scopes is None:
        return None
    wanted = joined(scopes)
    if not wanted:
        raise ValidationError(_("Choose at least one scope."), code="required")
    if len(wanted.split()) > MOST_SCOPES:
        raise ValidationError(
            _("A token can have at most %(most)d scopes."),
            code="too_many",
            params={"most": MOST_SCOPES},
        )
    new = set(scopes) - set((kept or "").split())
    unknown = sorted(new - _locked(new, account_id))
    if unknown:
        raise ValidationError(
            _("There is no scope “%(scope)s” in this account."),
            code="unknown",
            params={"scope": unknown[0][:60]},
        )
    return wanted


def width_error(scopes: str | None, *, by: Actor) -> ValidationError | None:
    """The refusal of more than the token has with which the actor acts."""
    if by.covers_scopes(scopes):
        return None
    return ValidationError(
        _("An API token can only give scopes that it has itself."), code=SCOPE_TOO_WIDE
    )


def _own(service: str, scope: str) -> Choice:
    word = f"{service}:{scope}"
    return Choice(word, str(_OWN_NAMES[word]))


def _locked(words: set[str], account_id: int) -> set[str]:
    """Those of the words that are scopes of the account. Their services are locked, so that none of
    them is removed meanwhile."""
    known = words & _OWN_NAMES.keys()
    codes = {word.partition(":")[0] for word in words - known}
    if codes:
        found = Service.objects.known_in(account_id).filter(code__in=codes).order_by("pk")
        for service in found.select_for_update(no_key=True):
            known |= {f"{service.code}:{each.code}" for each in service.scopes.all()} & words
    return known

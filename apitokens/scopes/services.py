"""The services that register systems with their scopes: an account's Administrators for the
account, and operators for all accounts."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import lock_account, reauthorize
from accounts.authorization.scopes import OWN_SCOPES, TOKENS_WRITE
from accounts.authorization.shown import fingerprint, refuse_changed
from accounts.http.concurrent_edits import overtaken
from accounts.models import Account
from apitokens.models import APIToken, APITokenQuerySet, Scope, Service, VerifierKey

MOST_SERVICES = 50
"""Of one account."""
MOST_SCOPES = 50
"""Of one service."""
LANGUAGES = [language for language, _label in settings.LANGUAGES]
NAMED = 20
"""Tokens that still have a scope, of which a refusal knows the ids."""


class ScopeFacts(NamedTuple):
    """A scope as it is to be: the code, what it means, and that in other languages. Without `names`
    it keeps those that it has."""

    code: str
    name: str
    names: dict[str, str] | None = None


class InUse(ValidationError):
    """Active tokens still have the scope; `token_ids` are some of them."""

    def __init__(self, scope: str, tokens: APITokenQuerySet) -> None:
        found, number = list(tokens.only("pk", "name").order_by("pk")[:NAMED]), tokens.count()
        words = ngettext(
            "%(count)d active API token has the scope %(scope)s: “%(name)s”. Take it away there, "
            "or delete the token, then try again.",
            "%(count)d active API tokens have the scope %(scope)s, “%(name)s” is one. Take it away "
            "there, or delete the tokens, then try again.",
            number,
        )
        params = {"count": number, "scope": scope, "name": found[0].name}
        super().__init__(words, code="in_use", params=params)
        self.token_ids = [token.pk for token in found]


@transaction.atomic
def register(
    *,
    account: Account | None,
    code: str,
    name: str,
    scopes: Collection[ScopeFacts],
    names: dict[str, str] | None = None,
    by: Actor,
    at: datetime,
) -> Service:
    """Register a service: in an account, or (None) in all of them. Its code stays as it is.

    Raises `PermissionDenied` for everybody but Administrators of the account and operators, and for
    None but operators; `ValidationError` by field, `too_many` for the whole form.
    """
    by = _managing(account.pk if account else None, by, at)
    _refuse_taken(code, account)
    if account and Service.objects.of(account.pk).count() >= MOST_SERVICES:
        raise ValidationError(
            _("An account can have at most %(most)d services. Remove one you don't need."),
            code="too_many",
            params={"most": MOST_SERVICES},
        )
    service = Service(account=account, code=code, created_at=at)
    _name(service, name, names or {})
    _refuse_bad_scopes(scopes)
    service.save()
    for facts in scopes:
        _put(Scope(service=service, code=facts.code), facts)
    _record("service.registered", service, by=by, at=at, scopes=_words(service, scopes))
    return service


@transaction.atomic
def edit(
    *,
    service: Service,
    name: str,
    scopes: Collection[ScopeFacts],
    shown: str | None = None,
    names: dict[str, str] | None = None,
    by: Actor,
    at: datetime,
) -> Service:
    """Name the service, and give it these scopes: others go. Idempotent.

    `shown` is the `snapshot` of the scopes before they were edited: scopes that were only shown
    stay as they are by now, and those that were changed both here and elsewhere are refused.
    Raises as `register` does, and `InUse` for a scope that goes while active tokens have it.
    """
    by = _managing(service.account_id, by, at)
    present = _locked(service)
    names = present.names if names is None else names
    before = {each.code: each for each in present.scopes.all()}
    former = _facts(present)
    scopes = _merged(_named(scopes, before), list(before.values()), shown)
    _name(present, name, names)
    _refuse_bad_scopes(scopes)
    gone = before.keys() - {facts.code for facts in scopes}
    for code in sorted(gone):
        _refuse_used(f"{present.code}:{code}", present.account_id, at)
    Scope.objects.filter(service=present, code__in=gone).delete()
    for facts in scopes:
        _put(before.get(facts.code) or Scope(service=present, code=facts.code), facts)
    present.save()
    if former == _facts(present):
        return present
    _record(
        "service.edited",
        present,
        by=by,
        at=at,
        former_scopes=" ".join(sorted(f"{present.code}:{code}" for code in before)),
        scopes=_words(present, scopes),
    )
    return present


@transaction.atomic
def remove(*, service: Service, shown: str | None = None, by: Actor, at: datetime) -> None:
    """Remove the service with its scopes. Raises `PermissionDenied` as `register` does, `InUse`
    while active tokens have one of its scopes, and `ValidationError` (`bound`) while a verifier key
    is bound to it, or if `shown` is no longer the `snapshot` of its scopes."""
    by = _managing(service.account_id, by, at)
    present = _locked(service)
    refuse_changed(shown, snapshot(present.scopes.all()))
    scopes = [f"{present.code}:{each.code}" for each in present.scopes.all()]
    for scope in scopes:
        _refuse_used(scope, present.account_id, at)
    keys = VerifierKey.objects.filter(service=present)
    bound = keys.filter(deleted_at=None).first()
    if bound is not None:
        raise ValidationError(
            _("The verifier key “%(name)s” is bound to this service. An operator can delete it."),
            code="bound",
            params={"name": bound.name},
        )
    keys.update(service=None)  # they are deleted, and open nothing
    _record("service.removed", present, by=by, at=at, scopes=" ".join(sorted(scopes)))
    present.delete()


def snapshot(scopes: Iterable[Scope | ScopeFacts]) -> str:
    """A fingerprint of what pages show of the scopes of a service."""
    return fingerprint(
        sorted((each.code, each.name, sorted((each.names or {}).items())) for each in scopes)
    )


def may_manage(by: Actor, account_id: int | None) -> bool:
    """True for operators, and for Administrators in their account."""
    if by.is_operator:
        return True
    is_administrator = account_id is not None and by.is_administrator_of(account_id)
    return is_administrator and by.has_scope(TOKENS_WRITE)


def _managing(account_id: int | None, by: Actor, at: datetime) -> Actor:
    """The actor as of now, under the account's lock."""
    if account_id is not None:
        lock_account(account_id)
    by = reauthorize(by, at)
    if not may_manage(by, account_id):
        raise PermissionDenied(_("Only Administrators can manage services."))
    return by


def _locked(service: Service) -> Service:
    """The service as it is now: tokens get none of its scopes until the transaction ends."""
    found = Service.objects.select_for_update(no_key=True).filter(pk=service.pk).first()
    if found is None:
        raise ValidationError(_("The service was removed."), code="removed")
    return found


def _refuse_taken(code: str, account: Account | None) -> None:
    """A code means one service to everybody who reads it."""
    error = None
    if code in OWN_SCOPES:
        error = _("The portal itself uses this code. Choose another one.")
    elif Service.objects.filter(Q(account=None), code=code).exists():
        error = _("An operator has registered a service with this code for all accounts.")
    elif account and Service.objects.filter(account=account, code=code).exists():
        error = _("The account already has a service with this code.")
    elif account is None and Service.objects.filter(code=code).exists():
        error = _("An account has registered a service with this code. Choose another one.")
    if error:
        raise ValidationError({"code": ValidationError(error, code="taken")})


def _named(scopes: Collection[ScopeFacts], before: dict[str, Scope]) -> list[ScopeFacts]:
    """The scopes with the names in other languages that they keep."""
    return [
        facts._replace(names=before[facts.code].names)
        if facts.names is None and facts.code in before
        else facts
        for facts in scopes
    ]


def _cleaned(facts: ScopeFacts) -> ScopeFacts:
    """The facts as a row has them."""
    try:
        names = _cleaned_names(facts.names or {}, facts.name)
    except ValidationError as refusal:
        raise ValidationError({"scopes": refusal}) from refusal
    return ScopeFacts(facts.code, facts.name.strip(), names)


def _merged(
    scopes: Collection[ScopeFacts], present: Collection[Scope], shown: str | None
) -> Collection[ScopeFacts]:
    """The scopes as they are to be, of those that were sent and those that are there."""
    cleaned = list(map(_cleaned, scopes))
    there = snapshot(present)
    if shown in (None, there) or snapshot(cleaned) == there:
        return scopes
    if snapshot(cleaned) != shown:
        words = ", ".join(f"{each.code} ({each.label})" for each in present)
        raise ValidationError({"scopes": overtaken(words)})
    return [ScopeFacts(each.code, each.name, each.names) for each in present]


def _name(service: Service, name: str, names: dict[str, str]) -> None:
    try:
        service.names = _cleaned_names(names, name)
    except ValidationError as refusal:
        raise ValidationError({"names": refusal}) from refusal
    service.name = name.strip()
    service.clean_fields(exclude=["account"])


def _refuse_bad_scopes(scopes: Collection[ScopeFacts]) -> None:
    error = None
    if not scopes:
        error = ValidationError(_("Enter at least one scope."), code="required")
    elif len(scopes) > MOST_SCOPES:
        error = ValidationError(
            _("A service can have at most %(most)d scopes."),
            code="too_many",
            params={"most": MOST_SCOPES},
        )
    elif len({facts.code for facts in scopes}) < len(scopes):
        error = ValidationError(_("Give each scope a code of its own."), code="taken")
    if error:
        raise ValidationError({"scopes": error})


def _put(scope: Scope, facts: ScopeFacts) -> None:
    _code, scope.name, scope.names = _cleaned(facts)
    try:
        scope.clean_fields(exclude=["service"])
    except ValidationError as refusal:
        first = next(iter(refusal.error_dict.values()))
        raise ValidationError({"scopes": first}) from refusal
    scope.save()


def _cleaned_names(names: dict[str, str], name: str) -> dict[str, str]:
    """The names in languages of the portal that say something else than the name of all."""
    return dict(_known_names(names, name.strip()))


def _known_names(names: dict[str, str], name: str) -> Iterator[tuple[str, str]]:
    field: Any = Service._meta.get_field("name")
    for language in LANGUAGES:
        text = names.get(language, "").strip()
        if text and text != name:
            yield language, field.clean(text, None)


def _refuse_used(scope: str, account_id: int | None, at: datetime) -> None:
    is_in = Q(scopes=scope) | Q(scopes__startswith=f"{scope} ") | Q(scopes__endswith=f" {scope}")
    tokens = APIToken.objects.active(at).filter(is_in | Q(scopes__contains=f" {scope} "))
    if account_id is not None:
        tokens = tokens.filter(account=account_id)
    if tokens.exists():
        raise InUse(scope, tokens)


def _facts(service: Service) -> tuple[Any, ...]:
    """All that can be changed."""
    scopes = Scope.objects.filter(service=service).values_list("code", "name", "names")
    return service.name, service.names, list(scopes)


def _words(service: Service, scopes: Collection[ScopeFacts]) -> str:
    return " ".join(sorted(f"{service.code}:{facts.code}" for facts in scopes))


def _record(kind: str, service: Service, *, by: Actor, at: datetime, **details: Any) -> None:
    audit.record(
        kind,
        by=by,
        at=at,
        account_id=service.account_id,
        subject=service,
        service=service.code,
        name=service.name,
        **details,
    )

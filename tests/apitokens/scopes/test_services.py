"""Services that an account or an operator registers, with their scopes."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import translation

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, AuditEvent, Membership
from apitokens.models import Scope, Service, VerifierKey
from apitokens.scopes import services
from apitokens.scopes.rules import labels, summary
from apitokens.scopes.services import MOST_SERVICES, InUse, ScopeFacts
from apitokens.tokens import editing
from apitokens.tokens import services as tokens
from apitokens.verification.verifier_keys import delete_verifier, issue_verifier
from tests.conftest import Issue
from tests.factories import AccountFactory

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
PURGE, READ = ScopeFacts("purge", "Purge the cache"), ScopeFacts("read", "Read")


def register(
    account: Account | None, *, by: Actor, at: datetime, code: str = "cdn", **facts: object
) -> Service:
    given = {"name": "Content delivery", "scopes": [PURGE, READ], **facts}
    return services.register(account=account, code=code, by=by, at=at, **given)  # type: ignore[arg-type]  # tests hand over anything


@pytest.fixture
def service(administrator: Membership, now: datetime) -> Service:
    return register(administrator.account, by=Actor.member(administrator), at=now)


def test_service_is_registered_with_its_scopes(service: Service, account: Account) -> None:
    assert labels(account.pk)["cdn:purge"] == "Purge the cache"
    event = AuditEvent.objects.get(kind="service.registered")
    assert event.account_id == account.pk
    assert event.details["scopes"] == "cdn:purge cdn:read"


def test_other_accounts_know_nothing_of_it(service: Service) -> None:
    assert "cdn:purge" not in labels(AccountFactory.create().pk)


def test_service_of_an_operator_is_known_in_all_accounts(account: Account, now: datetime) -> None:
    register(None, by=OPERATOR, at=now)
    assert "cdn:purge" in labels(account.pk)
    assert "cdn:purge" in labels(AccountFactory.create().pk)


def test_names_are_in_the_language_of_the_reader(
    administrator: Membership, account: Account, now: datetime
) -> None:
    scope = ScopeFacts("purge", "Purge", {"de": "Leeren", "tlh": "teq"})
    service = register(account, by=Actor.member(administrator), at=now, scopes=[scope])
    assert service.scopes.get().names == {"de": "Leeren"}
    with translation.override("de"):
        assert labels(account.pk)["cdn:purge"] == "Leeren"
    with translation.override("ru"):
        assert labels(account.pk)["cdn:purge"] == "Purge"


def test_only_administrators_and_operators_register(
    engineer: Membership, administrator: Membership, account: Account, now: datetime
) -> None:
    for by, where in (
        (Actor.member(engineer), account),
        (Actor.member(administrator), AccountFactory.create()),
        (Actor.member(administrator), None),
    ):
        with pytest.raises(PermissionDenied):
            register(where, by=by, at=now)
    assert not Service.objects.exists()


@pytest.mark.parametrize("code", ["", "CDN", "c d", "c:d", "1a", "ä", "a" * 25, "a\n"])
def test_code_must_fit_into_a_scope(account: Account, now: datetime, code: str) -> None:
    for facts in ({"code": code}, {"scopes": [ScopeFacts(code, "X")]}):
        with pytest.raises(ValidationError):
            register(account, by=OPERATOR, at=now, **facts)


@pytest.mark.parametrize("code", ["tokens", "users", "audit"])
def test_the_portals_own_codes_cannot_be_taken(account: Account, now: datetime, code: str) -> None:
    with pytest.raises(ValidationError) as refused:
        register(account, by=OPERATOR, at=now, code=code)
    assert "code" in refused.value.message_dict


def test_a_code_means_one_service_to_everybody(
    service: Service, account: Account, now: datetime
) -> None:
    for where in (account, None):
        with pytest.raises(ValidationError):
            register(where, by=OPERATOR, at=now)
    register(None, by=OPERATOR, at=now, code="video")
    with pytest.raises(ValidationError):
        register(account, by=OPERATOR, at=now, code="video")


@pytest.mark.parametrize(
    "scopes",
    [[], [PURGE, PURGE], [ScopeFacts("x", " ")], [ScopeFacts(f"s{n}", "S") for n in range(51)]],
)
def test_scopes_must_be_some_with_names_of_their_own(
    account: Account, now: datetime, scopes: list[ScopeFacts]
) -> None:
    with pytest.raises(ValidationError):
        register(account, by=OPERATOR, at=now, scopes=scopes)
    assert not Service.objects.exists()


def test_account_has_a_number_of_services_at_most(account: Account, now: datetime) -> None:
    Service.objects.bulk_create(
        Service(account=account, code=f"s{number}", name="S", created_at=now)
        for number in range(MOST_SERVICES)
    )
    with pytest.raises(ValidationError, match="at most"):
        register(account, by=OPERATOR, at=now)


def test_edit_adds_and_takes_away(service: Service, now: datetime) -> None:
    scopes = [PURGE._replace(name="Empty it"), ScopeFacts("write", "Write")]
    services.edit(service=service, name="CDN", scopes=scopes, by=OPERATOR, at=now)
    assert {each.code: each.name for each in Scope.objects.all()} == {
        "purge": "Empty it",
        "write": "Write",
    }
    event = AuditEvent.objects.get(kind="service.edited")
    assert event.details["former_scopes"] == "cdn:purge cdn:read"
    assert event.details["scopes"] == "cdn:purge cdn:write"


def test_edit_that_changes_nothing_leaves_no_event(service: Service, now: datetime) -> None:
    name = service.name
    services.edit(service=service, name=name, scopes=[PURGE, READ], by=OPERATOR, at=now)
    assert not AuditEvent.objects.filter(kind="service.edited").exists()


def test_scope_in_use_stays(
    service: Service, engineer: Membership, issue: Issue, now: datetime
) -> None:
    """And goes when no active token has it, or another one that only begins or ends like it."""
    issue(engineer, name="Other", scopes=["cdn:read"])
    token = issue(engineer, name="Deploy", scopes=["cdn:purge", "cdn:read"]).token
    with pytest.raises(InUse, match="Deploy") as refused:
        services.edit(service=service, name="CDN", scopes=[READ], by=OPERATOR, at=now)
    assert refused.value.token_ids == [token.pk]
    with pytest.raises(InUse):
        services.remove(service=service, by=OPERATOR, at=now)
    assert Scope.objects.count() == 2

    editing.edit(token=token, changes={"scopes": ["cdn:read"]}, by=OPERATOR, at=now)
    services.edit(service=service, name="CDN", scopes=[READ], by=OPERATOR, at=now)
    assert Scope.objects.get().code == "read"


def test_tokens_that_have_ended_hold_no_scope(
    service: Service, engineer: Membership, issue: Issue, now: datetime
) -> None:
    early = now - timedelta(days=2)
    issue(engineer, scopes=["cdn:purge"], at=early, expires_at=now - timedelta(days=1))
    deleted = issue(engineer, scopes=["cdn:purge"]).token
    tokens.delete(token=deleted, by=OPERATOR, at=now)
    services.remove(service=service, by=OPERATOR, at=now)
    assert not Service.objects.exists()
    assert AuditEvent.objects.filter(kind="service.removed").exists()


def test_tokens_of_other_accounts_do_not_matter_to_an_accounts_service(
    service: Service, now: datetime, issue: Issue, engineer: Membership
) -> None:
    token = issue(engineer, scopes=["cdn:purge"]).token
    type(token).objects.filter(pk=token.pk).update(account=AccountFactory.create())
    services.remove(service=service, by=OPERATOR, at=now)


def test_service_with_a_verifier_key_stays(service: Service, now: datetime) -> None:
    """It would see all tokens without."""
    verifier = issue_verifier(name="Edge", service=service, by=OPERATOR, at=now).verifier
    with pytest.raises(ValidationError, match="Edge"):
        services.remove(service=service, by=OPERATOR, at=now)
    delete_verifier(verifier=verifier, by=OPERATOR, at=now)
    services.remove(service=service, by=OPERATOR, at=now)
    assert VerifierKey.objects.get(pk=verifier.pk).service is None


def test_removed_service_is_refused_kindly(service: Service, now: datetime) -> None:
    services.remove(service=service, by=OPERATOR, at=now)
    for act in (
        lambda: services.remove(service=service, by=OPERATOR, at=now),
        lambda: services.edit(service=service, name="X", scopes=[READ], by=OPERATOR, at=now),
        lambda: issue_verifier(name="Edge", service=service, by=OPERATOR, at=now),
    ):
        with pytest.raises(ValidationError):
            act()


def test_few_words_say_what_a_token_is_limited_to() -> None:
    assert summary(None) == ""
    assert summary(["tokens:read", "cdn:read"]) == "Read only"
    assert summary(["cdn:purge"]) == "1 scope"
    assert summary(["cdn:purge", "cdn:read"]) == "2 scopes"
    assert summary([]) == "0 scopes"

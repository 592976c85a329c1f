"""The list of a token: who sets it, what follows, and who is told of uses from elsewhere."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members.contact_limits import MAILS
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.keys import Key
from apitokens.models import APIToken, TokenAddress, TokenUseDay
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as token_services
from apitokens.tokens.handover import hand_over
from apitokens.usage.flusher import UsageFlusher
from apitokens.verification.refusals import Insufficient, Refused, Requirement
from apitokens.verification.verify import verify
from notifications.kinds import TOKEN_USED_FROM_ELSEWHERE
from notifications.models import Mail, Notice
from tests.conftest import Issue
from tests.factories import MembershipFactory, service_account

pytestmark = [pytest.mark.both, pytest.mark.django_db]

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.7"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


def code_told(key: Key, at: datetime, address: str | None = ELSEWHERE) -> str:
    with pytest.raises((Refused, Insufficient)) as refused:
        verify(presented=key.spell(), at=at, address=address)
    assert isinstance(refused.value, Refused | Insufficient)
    return str(refused.value.code)


def allow(token: APIToken, entries: list[str], *, by: Actor, at: datetime) -> APIToken:
    return editing.edit(token=token, changes={"allowed_addresses": entries}, by=by, at=at)


def acting_with(token: APIToken, role: Role = Role.USERS) -> Actor:
    return Actor.token(token.issuer, token_id=token.pk, role=role, ends_at=None)


def test_contact_address_is_mailed_about_few_of_many_tokens(
    administrator: Membership, now: datetime
) -> None:
    """The bound of each kind of mail: its owner has asked for no more."""
    deploys = service_account(administrator.account, at=now, contact_email="ops@example.com")
    Mail.objects.all().delete()
    for number in range(MAILS.times + 3):
        issued = token_services.issue(
            issuer=deploys.membership,
            name=f"Token {number}",
            role=Role.USERS,
            allowed_addresses=[HERE],
            expires_at=None,
            by=OPERATOR,
            at=now,
        )
        assert code_told(issued.key, now) == "address_not_allowed"
    told_of_uses = Mail.objects.filter(kind=TOKEN_USED_FROM_ELSEWHERE.code)
    assert told_of_uses.filter(address="ops@example.com").count() == MAILS.times


def told() -> list[tuple[int, str]]:
    notices = Notice.objects.filter(kind=TOKEN_USED_FROM_ELSEWHERE.code).order_by("pk")
    return list(notices.values_list("user_id", "text"))


# Setting it


def test_list_is_kept_in_the_usual_form_and_told_in_the_event(
    engineer: Membership, issue: Issue
) -> None:
    token, _key = issue(engineer, allowed_addresses=["::ffff:203.0.113.7", "2001:DB8::/48"])
    token.refresh_from_db()
    assert token.address_list == ["203.0.113.7", "2001:db8::/48"]
    event = AuditEvent.objects.get(kind="token.issued")
    assert event.details["allowed_addresses"] == "203.0.113.7, 2001:db8::/48"


def test_bad_list_creates_nothing(engineer: Membership, issue: Issue) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(engineer, allowed_addresses=["203.0.113.7/24"], name="")
    assert set(refused.value.error_dict) == {"allowed_addresses", "name"}
    assert not APIToken.objects.exists()


def test_edit_changes_the_list_and_tells_before_and_after(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(engineer, allowed_addresses=[HERE])
    allow(token, ["198.51.100.0/24"], by=Actor.member(engineer), at=now)
    verify(presented=key.spell(), at=now, address=ELSEWHERE)
    assert code_told(key, now, HERE) == "address_not_allowed"
    details = AuditEvent.objects.get(kind="token.edited").details
    assert details["former_allowed_addresses"] == HERE
    assert details["allowed_addresses"] == "198.51.100.0/24"


def test_same_list_in_other_words_is_no_change(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(engineer, allowed_addresses=[HERE])
    allow(token, [f"{HERE}/32", HERE], by=Actor.member(engineer), at=now)
    assert not AuditEvent.objects.filter(kind="token.edited").exists()


def test_bad_list_changes_nothing(engineer: Membership, issue: Issue, now: datetime) -> None:
    token, _key = issue(engineer, allowed_addresses=[HERE])
    with pytest.raises(ValidationError):
        allow(token, ["nonsense"], by=Actor.member(engineer), at=now)
    token.refresh_from_db()
    assert token.address_list == [HERE]


def test_who_may_not_edit_may_not_widen(
    engineer: Membership, user: Membership, stranger: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(engineer, allowed_addresses=[HERE])
    weak, _key = issue(user)
    for by in (Actor.member(user), Actor.member(stranger), acting_with(weak)):
        with pytest.raises(PermissionDenied):
            allow(token, [], by=by, at=now)
    assert code_told(key, now) == "address_not_allowed"
    assert AuditEvent.objects.filter(kind="token.edit_refused").count() == 3


@pytest.mark.parametrize("entries", [[], [ELSEWHERE], ["203.0.113.0/24"], ["0.0.0.0/0"]])
def test_limited_token_lets_none_work_where_it_does_not(
    engineer: Membership, issue: Issue, now: datetime, entries: list[str]
) -> None:
    token, _key = issue(engineer, allowed_addresses=[HERE, "10.0.0.0/8"])
    by = acting_with(token)
    refusals: list[Callable[[], object]] = [
        lambda: allow(token, entries, by=by, at=now),
        lambda: issue(engineer, by=by, allowed_addresses=entries),
    ]
    for act in refusals:
        with pytest.raises(ValidationError) as refused:
            act()
        assert refused.value.error_dict["allowed_addresses"][0].code == "wider_than_creator"
    kinds = AuditEvent.objects.filter(details__code="wider_than_creator").values_list("kind")
    assert {kind for (kind,) in kinds} == {"token.edit_refused", "token.issue_refused"}


def test_limited_token_issues_and_edits_within_its_list(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(engineer, allowed_addresses=[HERE, "10.0.0.0/8"])
    made, _key = issue(engineer, by=acting_with(token), allowed_addresses=["10.1.0.0/16"])
    allow(made, ["10.1.2.0/24"], by=acting_with(token), at=now)
    allow(token, [HERE], by=acting_with(token), at=now)
    editing.edit(token=made, changes={"name": "New"}, by=acting_with(made), at=now)


def test_limited_token_gets_no_secret_that_works_elsewhere(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(engineer, allowed_addresses=["10.0.0.0/8"])
    free, _key = issue(engineer)
    other, _key = issue(engineer, allowed_addresses=["10.1.0.0/16"])
    with pytest.raises(ValidationError) as refused:
        rotation.rotate(token=free, by=acting_with(token), at=now)
    assert refused.value.code == "wider_than_creator"
    assert AuditEvent.objects.filter(kind="token.rotate_refused").exists()
    for allowed in (token, other):
        rotation.rotate(token=allowed, by=acting_with(token), at=now)


def test_rotation_and_handover_keep_the_list(
    administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(engineer, allowed_addresses=[HERE])
    new = rotation.rotate(token=token, by=OPERATOR, at=now).key
    hand_over(
        account=token.account,
        token_ids=[token.pk],
        to=administrator,
        by=Actor.member(administrator),
        at=now,
    )
    for each in (key, new):
        assert code_told(each, now) == "address_not_allowed"
        verify(presented=each.spell(), at=now, address=HERE)


# Uses from elsewhere


def test_use_from_elsewhere_is_no_use(
    engineer: Membership, issue: Issue, now: datetime, usage_flusher: UsageFlusher
) -> None:
    token, key = issue(engineer, allowed_addresses=[HERE])
    assert code_told(key, now) == "address_not_allowed"
    assert code_told(key, now, None) == "address_not_allowed"
    usage_flusher.end()
    token.refresh_from_db()
    assert token.last_used_at is None
    assert not TokenAddress.objects.exists()
    assert TokenUseDay.objects.get().refused == 2


def test_it_is_told_before_what_else_the_token_lacks(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    _token, key = issue(engineer, allowed_addresses=[HERE])
    for address, code in ((HERE, "role_too_low"), (ELSEWHERE, "address_not_allowed")):
        with pytest.raises(Insufficient) as refused:
            verify(
                presented=key.spell(),
                at=now,
                address=address,
                requirement=Requirement(role=Role.ADMINISTRATORS),
            )
        assert refused.value.code == code


def test_wrong_secret_is_told_nothing_of_the_list_and_reads_none_of_it(
    engineer: Membership, issue: Issue, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _token, key = issue(engineer, allowed_addresses=[HERE])

    def fail(*_facts: object) -> None:
        raise AssertionError("The list was looked at.")

    monkeypatch.setattr("apitokens.addresses.networks.AddressList.covers", fail)
    monkeypatch.setattr("apitokens.addresses.networks.AddressList._read", fail)
    for _time in range(3):
        assert code_told(Key(key.id, "0" * 64), now) == "unknown"
    assert not AuditEvent.objects.filter(kind="token.refused").exists()
    assert not told()


def test_event_once_an_hour_and_notice_once_a_day(
    engineer: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(engineer, allowed_addresses=[HERE])
    other = MembershipFactory.create(account=engineer.account, role=Role.ENGINEERS)
    for minutes in (0, 1, 59, 61, 62, 24 * 60 - 1):
        code_told(key, now + timedelta(minutes=minutes))
    events = AuditEvent.objects.filter(kind="token.refused", subject_id=token.pk)
    assert events.count() == 3
    assert {event.address for event in events} == {ELSEWHERE}
    assert {event.details["code"] for event in events} == {"address_not_allowed"}
    assert {user_id for user_id, _text in told()} == {engineer.user_id, administrator.user_id}
    assert len(told()) == 2
    assert f"IP address: {ELSEWHERE}\n" in told()[0][1]
    assert other.user_id not in {user_id for user_id, _text in told()}
    code_told(key, now + DAY + HOUR)
    assert len(told()) == 4


def test_unknown_address_is_told_as_such(engineer: Membership, issue: Issue, now: datetime) -> None:
    _token, key = issue(engineer, allowed_addresses=["0.0.0.0/0", "::/0"])
    assert code_told(key, now, None) == "address_not_allowed"
    assert told()[0][1].startswith("The IP address isn't known.\n")


def test_those_who_look_after_a_service_account_are_told(
    administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    service = service_account(
        engineer.account, at=now, contact_email="ops@example.com", issuers=[engineer]
    )
    _token, key = issue(
        service.membership, by=Actor.member(administrator), allowed_addresses=[HERE]
    )
    code_told(key, now)
    assert {user_id for user_id, _text in told()} == {engineer.user_id, administrator.user_id}
    mails = Mail.objects.filter(kind=TOKEN_USED_FROM_ELSEWHERE.code)
    assert "ops@example.com" in set(mails.values_list("address", flat=True))


@pytest.mark.usefixtures("memory")
def test_list_costs_no_query_more(engineer: Membership, issue: Issue, now: datetime) -> None:
    counts = []
    for entries in ([], [HERE], [f"203.0.113.{number}" for number in range(20)]):
        _token, key = issue(engineer, allowed_addresses=entries)
        with CaptureQueriesContext(connection) as cold:
            verify(presented=key.spell(), at=now, address=HERE)
        with CaptureQueriesContext(connection) as warm:
            verify(presented=key.spell(), at=now, address=HERE)
        counts.append((len(cold), len(warm)))
    assert len(set(counts)) == 1
    assert counts[0][1] == 0


@pytest.mark.usefixtures("memory")
def test_refusals_from_elsewhere_cost_no_query_after_the_first(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    _token, key = issue(engineer, allowed_addresses=[HERE])
    code_told(key, now)
    with CaptureQueriesContext(connection) as queries:
        assert code_told(key, now) == "address_not_allowed"
    assert not queries.captured_queries


@pytest.mark.usefixtures("memory")
def test_shorter_list_is_in_force_when_it_is_saved(
    engineer: Membership, issue: Issue, now: datetime, django_capture_on_commit_callbacks: object
) -> None:
    token, key = issue(engineer)
    verify(presented=key.spell(), at=now, address=ELSEWHERE)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture
        allow(token, [HERE], by=Actor.member(engineer), at=now)
    assert code_told(key, now) == "address_not_allowed"
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture
        allow(token, [], by=Actor.member(engineer), at=now)
    verify(presented=key.spell(), at=now, address=ELSEWHERE)


def test_deleted_token_says_so_from_elsewhere_too(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(engineer, allowed_addresses=[HERE])
    token_services.delete(token=token, by=OPERATOR, at=now)
    assert code_told(key, now) == "deleted"

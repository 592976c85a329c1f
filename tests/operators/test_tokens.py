"""What operators do with API tokens: look and delete."""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import lxml.html
import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.admin import filters
from accounts.authorization.actor import Actor
from accounts.models import Membership, User
from accounts.roles import Role
from apitokens.admin import tokens as tokens_admin
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.tokens.handover import hand_over
from tests.conftest import Issue
from tests.factories import MembershipFactory
from tests.operators.conftest import Events, page, shown

LIST = "apitokens_apitoken_changelist"
CHANGE, DELETE = "apitokens_apitoken_change", "apitokens_apitoken_delete"


def select(browser: Client, *tokens: APIToken, **fields: str) -> tuple[int, str]:
    """Choose "Delete selected API tokens" for these; `post="yes"` confirms."""
    chosen = {"action": "delete_selected", "_selected_action": [token.pk for token in tokens]}
    answer = browser.post(page(LIST), {**chosen, **fields}, follow=True)
    return answer.status_code, answer.content.decode()


def test_list_shows_tokens_of_all_accounts(
    browser: Client, engineer: Membership, stranger: Membership, issue: Issue
) -> None:
    issue(engineer, name="Deploys"), issue(stranger, name="Reports")

    text = shown(browser, page(LIST))

    assert "Deploys" in text
    assert "Reports" in text
    assert "Not used yet" in text


@pytest.mark.parametrize("tokens", [1, 30])
def test_list_costs_the_same_for_any_number_of_tokens(
    browser: Client,
    tokens: int,
    issue: Issue,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _number in range(tokens):
        issue(MembershipFactory.create())

    # session, operator, the choice of accounts, count, rows
    with django_assert_num_queries(5):
        shown(browser, page(LIST))


def test_digest_pepper_and_form_key_are_not_shown(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    token, key = issue(engineer, form_key=uuid4())
    token.refresh_from_db()
    digest = bytes(token.digest or b"")
    secrets = [digest.hex(), base64.b64encode(digest).decode(), str(digest)[2:-1], key.secret]

    for address in (page(LIST), page(CHANGE, token.pk), page(DELETE, token.pk)):
        text = shown(browser, address)
        assert not [each for each in (*secrets, str(token.form_key)) if each in text]
        assert "digest" not in text.lower()
        assert "pepper" not in text.lower()


def test_token_is_deleted_on_the_record(
    browser: Client, engineer: Membership, issue: Issue, operator: User, events: Events
) -> None:
    token, _key = issue(engineer, name="Deploys")

    answer = browser.post(page(DELETE, token.pk), {"post": "yes"}, follow=True)

    assert "was deleted successfully" in answer.content.decode()
    token.refresh_from_db()
    assert token.deleted_by == operator
    (event,) = events("token.deleted", subject_id=token.pk)
    assert (event.user, event.through, event.address) == (operator, "admin", "192.0.2.7")


def test_question_before_deletion_names_the_token_and_changes_nothing(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    token, _key = issue(engineer, name="Deploys <b>")

    text = shown(browser, page(DELETE, token.pk))

    assert "Deploys &lt;b&gt;" in text
    assert engineer.user.email in text
    token.refresh_from_db()
    assert not token.is_deleted


def test_several_are_deleted_after_one_question(
    browser: Client, engineer: Membership, stranger: Membership, issue: Issue, events: Events
) -> None:
    first, second, other = (issue(each).token for each in (engineer, stranger, engineer))

    _status, question = select(browser, first, second)
    assert "Delete these 2 API tokens?" in question
    assert not APIToken.objects.deleted().exists()

    select(browser, first, second, post="yes")
    assert set(APIToken.objects.deleted()) == {first, second}
    assert APIToken.objects.undeleted().get() == other
    assert len(events("token.deleted")) == 2


def test_tombstones_among_the_selected_are_left_alone(
    browser: Client, engineer: Membership, issue: Issue, now: datetime
) -> None:
    gone, _key = issue(engineer, name="Long gone")
    token_services.delete(token=gone, by=Actor.member(engineer), at=now)
    fresh, _key = issue(engineer)

    _status, text = select(browser, gone, fresh, post="yes")

    assert "Successfully deleted 1 API token" in text
    gone.refresh_from_db()
    assert gone.deleted_by == engineer.user


def test_only_tombstones_selected_is_said(
    browser: Client, engineer: Membership, issue: Issue, now: datetime, events: Events
) -> None:
    gone, _key = issue(engineer)
    token_services.delete(token=gone, by=Actor.member(engineer), at=now)

    _status, text = select(browser, gone, post="yes")

    assert "already been deleted" in text
    assert len(events("token.deleted")) == 1


def test_more_than_a_form_can_hold_are_refused(
    browser: Client, engineer: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_admin, "MOST_AT_ONCE", 1)
    tokens = [issue(engineer).token for _number in range(2)]

    _status, text = select(browser, *tokens, post="yes")

    assert "revoke_tokens" in text
    assert not APIToken.objects.deleted().exists()


def test_tombstone_is_not_deleted_again(
    browser: Client, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(engineer)
    token_services.delete(token=token, by=Actor.member(engineer), at=now)

    assert browser.post(page(DELETE, token.pk), {"post": "yes"}).status_code == 403
    token.refresh_from_db()
    assert token.deleted_by == engineer.user


def test_tokens_are_not_created_here(browser: Client, engineer: Membership) -> None:
    form = {"name": "New", "role": Role.USERS, "account": engineer.account_id}

    assert browser.post(page("apitokens_apitoken_add"), form).status_code == 403
    assert not APIToken.objects.exists()


def test_tokens_are_not_edited_here(browser: Client, engineer: Membership, issue: Issue) -> None:
    token, _key = issue(engineer, name="Deploys")
    form = {"name": "Renamed", "role": Role.ADMINISTRATORS, "expires_at": ""}

    assert browser.post(page(CHANGE, token.pk), form).status_code == 403
    token.refresh_from_db()
    assert (token.name, token.held_role) == ("Deploys", Role.USERS)


def test_staff_without_the_right_to_delete_do_not(
    client: Client, engineer: Membership, issue: Issue, operator: User
) -> None:
    operator.is_superuser = False
    operator.save()
    client.force_login(operator)
    token, _key = issue(engineer)

    assert client.post(page(DELETE, token.pk), {"post": "yes"}).status_code == 403
    assert select(client, token, post="yes")[0] == 403
    assert not APIToken.objects.deleted().exists()


@pytest.mark.parametrize(
    ("status", "name"), [("active", "A1"), ("expired", "E1"), ("deleted", "D1")]
)
def test_filter_by_status(
    browser: Client, engineer: Membership, issue: Issue, now: datetime, status: str, name: str
) -> None:
    issue(engineer, name="A1")
    issue(engineer, name="E1", at=now - timedelta(days=9), expires_at=now - timedelta(days=1))
    gone, _key = issue(engineer, name="D1")
    token_services.delete(token=gone, by=Actor.member(engineer), at=now)

    text = shown(browser, page(LIST), status=status)

    assert [each for each in ("A1", "E1", "D1") if f">{each}<" in text] == [name]


def test_filter_by_role(browser: Client, engineer: Membership, issue: Issue) -> None:
    issue(engineer, name="Strong", role=Role.ENGINEERS), issue(engineer, name="Weak")

    text = shown(browser, page(LIST), role__exact=Role.ENGINEERS.value)

    assert "Strong" in text
    assert "Weak" not in text


def test_filter_by_account(
    browser: Client, engineer: Membership, stranger: Membership, issue: Issue
) -> None:
    issue(engineer, name="Ours"), issue(stranger, name="Theirs")

    text = shown(browser, page(LIST), account=stranger.account_id)

    assert "Theirs" in text
    assert "Ours" not in text


def test_search_finds_by_id_name_issuer_and_account(
    browser: Client, engineer: Membership, stranger: Membership, issue: Issue
) -> None:
    token, _key = issue(engineer, name="Deploys")
    issue(stranger, name="Reports")

    for words in (str(token.pk), f"{token.pk}$", "deplo", engineer.user.email, "example inc"):
        text = shown(browser, page(LIST), q=words)
        assert "Deploys" in text, words
        assert "Reports" not in text, words


@pytest.mark.parametrize("token_id", ["1", "99999999999999999999", "nonsense"])
def test_token_that_is_not_there_is_no_fault(browser: Client, token_id: str) -> None:
    for name in (CHANGE, DELETE):
        assert browser.get(page(name, token_id)).status_code == 302


def test_account_asked_for_stands_among_the_choices_however_many_there_are(
    browser: Client, stranger: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "ACCOUNTS_TO_CHOOSE_FROM", 0)

    assert "Globex" in shown(browser, page(LIST), account=stranger.account_id)
    assert "Globex" not in shown(browser, page(LIST))


@pytest.fixture
def handed_over(
    administrator: Membership, engineer: Membership, now: datetime
) -> Callable[[APIToken], None]:
    """`handed_over(token)`: an Administrator hands it over to the engineer."""

    def act(token: APIToken) -> None:
        hand_over(
            account=administrator.account,
            token_ids=[token.pk],
            to=engineer,
            by=Actor.member(administrator),
            at=now,
        )

    return act


def fields_of(question: str) -> dict[str, Any]:
    """What the form of a question sends."""
    (form,) = (each for each in lxml.html.fromstring(question).forms if "post" in each.fields)
    fields: dict[str, Any] = {}
    for name, value in form.form_values():
        fields.setdefault(name, []).append(value)
    return fields


def test_deletion_of_several_acts_on_the_issuers_that_were_shown(
    browser: Client,
    administrator: Membership,
    issue: Issue,
    handed_over: Callable[[APIToken], None],
) -> None:
    tokens = [issue(administrator, role=Role.USERS).token for _each in range(2)]
    _status, question = select(browser, *tokens)
    handed_over(tokens[1])

    answer = browser.post(page(LIST), fields_of(question), follow=True).text

    assert "was handed over to" in answer
    assert not APIToken.objects.exclude(deleted_at=None).exists()
    assert not LogEntry.objects.exists()
    _status, question = select(browser, *tokens)
    browser.post(page(LIST), fields_of(question))
    assert APIToken.objects.exclude(deleted_at=None).count() == 2


def test_deletion_of_one_acts_on_the_issuer_that_was_shown(
    browser: Client,
    administrator: Membership,
    issue: Issue,
    handed_over: Callable[[APIToken], None],
) -> None:
    token = issue(administrator, role=Role.USERS).token
    address = page(DELETE, token.pk)
    question = fields_of(shown(browser, address))
    handed_over(token)

    answer = browser.post(address, question, follow=True)

    assert "was handed over to" in answer.text
    assert not APIToken.objects.exclude(deleted_at=None).exists()
    browser.post(address, fields_of(answer.text))
    assert APIToken.objects.exclude(deleted_at=None).exists()

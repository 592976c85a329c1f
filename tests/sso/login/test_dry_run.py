"""Dry run of a connection: a login that starts no session."""

import pytest
from allauth.socialaccount.internal.statekit import STATES_SESSION_KEY
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, Membership, User
from sso.models import Connection, Subject
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID, ConnectionFactory, MembershipFactory
from tests.idp.keys import SigningKey, make_key
from tests.sso import login_steps
from tests.sso.saml_responses import BOTH

pytestmark = pytest.mark.django_db

TEST, RESULT = (reverse(f"sso:{name}", args=[ACCOUNT_ID]) for name in ("test", "tested"))


@pytest.fixture
def untested(trusted: Connection) -> Connection:
    Connection.objects.update(is_on=False, tested_at=None)
    trusted.refresh_from_db()
    return trusted


@pytest.fixture
def tester(client: Client, administrator: Membership, sign_in_now: SignIn) -> Client:
    """The browser of an Administrator with a recent reauthentication."""
    sign_in_now(client, administrator)
    return client


def begin(client: Client) -> str:
    return str(client.get(TEST)["Location"])


def test_button_leads_to_a_page_that_redirects(tester: Client, untested: Connection) -> None:
    """The policy `form-action` lets no form lead to another site."""
    answer = tester.post(TEST)

    assert answer.status_code == 200
    assert f'content="0; url={TEST}"' in answer.content.decode()


def test_dry_run_shows_the_assertion(
    tester: Client, untested: Connection, signing: SigningKey
) -> None:
    back = login_steps.complete_login(tester, untested, signing, begin(tester))

    page = tester.get(back["Location"]).content.decode()
    assert "maria-7f3a" in page
    assert "maria@example.com" in page


def test_successful_dry_run_is_recorded(
    tester: Client, untested: Connection, signing: SigningKey
) -> None:
    login_steps.complete_login(tester, untested, signing, begin(tester))

    untested.refresh_from_db()
    assert untested.tested_at is not None
    assert AuditEvent.objects.filter(kind="sso.tested").exists()


@pytest.mark.parametrize("signed", [BOTH, BOTH[:1]], ids=["both", "assertion"])
def test_dry_run_records_whether_messages_are_signed(
    tester: Client, untested: Connection, signing: SigningKey, signed: tuple[str, ...]
) -> None:
    login_steps.complete_login(tester, untested, signing, begin(tester), signed=signed)

    untested.refresh_from_db()
    assert untested.signs_messages is (signed == BOTH)


def test_dry_run_lets_a_provider_stop_signing_messages(
    tester: Client, untested: Connection, signing: SigningKey
) -> None:
    Connection.objects.update(signs_messages=True)

    login_steps.complete_login(tester, untested, signing, begin(tester), signed=BOTH[:1])

    untested.refresh_from_db()
    assert (untested.tested_at is not None, untested.signs_messages) == (True, False)


def test_test_signs_nobody_in_and_makes_nobody(
    tester: Client, untested: Connection, signing: SigningKey, administrator: Membership
) -> None:
    login_steps.complete_login(tester, untested, signing, begin(tester))

    assert tester.session["_auth_user_id"] == str(administrator.user_id)
    assert not User.objects.filter(email="maria@example.com").exists()
    assert not Subject.objects.exists()


def test_test_without_an_address_is_shown_but_did_not_go_well(
    tester: Client, untested: Connection, signing: SigningKey
) -> None:
    Connection.objects.update(email_attribute="somethingElse")

    back = login_steps.complete_login(tester, untested, signing, begin(tester))

    assert "mail" in tester.get(back["Location"]).content.decode()
    untested.refresh_from_db()
    assert untested.tested_at is None


def test_administrator_reads_why_an_answer_was_not_accepted(
    tester: Client, untested: Connection
) -> None:
    refused = login_steps.complete_login(tester, untested, make_key("mallory"), begin(tester))
    assert refused.status_code == 400

    page = tester.get(RESULT).content.decode()

    assert "made with a different certificate" in page
    untested.refresh_from_db()
    assert untested.tested_at is None


def test_without_an_answer_the_page_says_so(tester: Client, untested: Connection) -> None:
    begin(tester)

    assert "No response yet" in tester.get(RESULT).content.decode()


def test_result_is_shown_in_the_account_of_the_test_only(
    tester: Client, untested: Connection, signing: SigningKey, administrator: Membership
) -> None:
    elsewhere = MembershipFactory.create(user=administrator.user)
    ConnectionFactory.create(account=elsewhere.account)
    there = RESULT.replace(str(ACCOUNT_ID), str(elsewhere.account_id))
    address = begin(tester)
    tester.get(f"/accounts/{elsewhere.account_id}/")  # in another tab

    back = login_steps.complete_login(tester, untested, signing, address)

    assert back["Location"] == RESULT
    assert "maria-7f3a" in tester.get(RESULT).content.decode()
    assert "No response yet" in tester.get(there).content.decode()
    untested.refresh_from_db()
    assert untested.tested_at is not None


def test_answer_to_a_test_signs_in_nobody_elsewhere(
    tester: Client, untested: Connection, signing: SigningKey
) -> None:
    """The response is accepted from the browser that sent the request only."""
    address = begin(tester)

    page = login_steps.complete_login(Client(), untested, signing, address)

    assert page.status_code == 400


def test_administrator_of_another_account_cannot_finish_it(
    tester: Client, untested: Connection, signing: SigningKey, stranger: Membership
) -> None:
    address = begin(tester)
    waited_for = tester.session[STATES_SESSION_KEY]
    tester.force_login(stranger.user)
    session = tester.session
    session[STATES_SESSION_KEY] = waited_for
    session.save()

    login_steps.complete_login(tester, untested, signing, address)

    assert AuditEvent.objects.get(kind="sso.refused").details["code"] == "other_person"
    untested.refresh_from_db()
    assert untested.tested_at is None


@pytest.mark.parametrize("path", [TEST, RESULT])
def test_others_than_administrators_test_nothing(
    client: Client, untested: Connection, engineer: Membership, sign_in_now: SignIn, path: str
) -> None:
    sign_in_now(client, engineer)

    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", [TEST, RESULT])
def test_administrator_of_an_account_without_connection_finds_nothing(
    client: Client, untested: Connection, stranger: Membership, sign_in_now: SignIn, path: str
) -> None:
    sign_in_now(client, stranger)

    for account in (untested.account_id, stranger.account_id):
        assert client.get(path.replace(str(ACCOUNT_ID), str(account))).status_code == 404


def test_dry_run_classifies_the_person(
    tester: Client, untested: Connection, signing: SigningKey
) -> None:
    MembershipFactory.create(account=untested.account, user__email="maria@example.com")

    back = login_steps.complete_login(tester, untested, signing, begin(tester))

    assert "A user of the account" in tester.get(back["Location"]).content.decode()


def test_dry_run_does_not_disclose_users_of_other_accounts(
    tester: Client, untested: Connection, signing: SigningKey
) -> None:
    MembershipFactory.create(user__email="maria@example.com")

    back = login_steps.complete_login(tester, untested, signing, begin(tester))

    assert "Not a user of the account" in tester.get(back["Location"]).content.decode()

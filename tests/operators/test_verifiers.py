"""What operators do with verifier keys: make, see once, and delete."""

from datetime import datetime

import pytest
from django.test import Client

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership, User
from apitokens.models import VerifierKey
from apitokens.verification.verifier_keys import authenticate_verifier, issue_verifier
from tests.conftest import SignIn
from tests.operators.conftest import Events, page, shown

ADD, LIST = "apitokens_verifierkey_add", "apitokens_verifierkey_changelist"
CHANGE, DELETE = "apitokens_verifierkey_change", "apitokens_verifierkey_delete"


@pytest.fixture
def verifier(db: None, now: datetime) -> VerifierKey:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    return issue_verifier(name="Video storage", by=operator, at=now).verifier


def test_key_is_shown_once_in_the_answer_itself(
    browser: Client, operator: User, events: Events, now: datetime
) -> None:
    answer = browser.post(page(ADD), {"name": "Video storage"})

    text = answer.context["plaintext"]
    made = VerifierKey.objects.get()
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert text in answer.content.decode()
    assert authenticate_verifier(presented=text, at=now).id == made.pk
    assert [event.user for event in events("verifier.issued")] == [operator]
    for address in (page(LIST), page(CHANGE, made.pk), page(DELETE, made.pk)):
        assert text.split("_")[2] not in shown(browser, address)


def test_key_without_a_name_is_not_made(browser: Client) -> None:
    assert browser.post(page(ADD), {"name": " "}).status_code == 400
    assert not VerifierKey.objects.exists()


def test_key_is_deleted_on_the_record(
    browser: Client, operator: User, verifier: VerifierKey, events: Events
) -> None:
    answer = browser.post(page(DELETE, verifier.pk), {"post": "yes"}, follow=True)

    verifier.refresh_from_db()
    assert answer.status_code == 200
    assert verifier.deleted_at
    assert [event.user for event in events("verifier.deleted")] == [operator]
    assert "Deleted" in shown(browser, page(LIST))


def test_deleted_key_cannot_be_deleted_again(browser: Client, verifier: VerifierKey) -> None:
    browser.post(page(DELETE, verifier.pk), {"post": "yes"})
    assert browser.post(page(DELETE, verifier.pk), {"post": "yes"}).status_code == 403


def test_digest_is_not_shown(browser: Client, verifier: VerifierKey) -> None:
    for address in (page(LIST), page(CHANGE, verifier.pk), page(DELETE, verifier.pk)):
        text = shown(browser, address).lower()
        assert "digest" not in text
        assert "pepper" not in text


def test_nothing_of_a_key_can_be_edited(browser: Client, verifier: VerifierKey) -> None:
    assert browser.post(page(CHANGE, verifier.pk), {"name": "Other"}).status_code == 403
    verifier.refresh_from_db()
    assert verifier.name == "Video storage"


def test_members_do_not_get_in(
    client: Client, administrator: Membership, sign_in: SignIn, verifier: VerifierKey
) -> None:
    sign_in(client, administrator)
    for address in (page(LIST), page(ADD), page(DELETE, verifier.pk)):
        assert client.get(address).status_code in (302, 403)
    client.post(page(ADD), {"name": "Mine"})
    assert VerifierKey.objects.count() == 1

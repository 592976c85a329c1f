"""The pages that edit and rotate a token, and the section about its old secret."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.roles import Role
from apitokens.keys import parse
from apitokens.models import APIToken
from apitokens.pages import reveal
from apitokens.tokens import rotation
from apitokens.tokens import services as token_services
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
WHOLE = re.compile(r"[0-9]+\$[0-9a-f]{72}")


@pytest.fixture
def browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    sign_in(client, user)
    return client


def url_of(token: APIToken, page: str = "") -> str:
    return f"{LIST}{token.pk}/{page}"


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def hidden(browser: Client, address: str) -> dict[str, str]:
    page = browser.get(address).content.decode()
    return dict(re.findall(r'type="hidden" name="(form_key|rotations)" value="([^"]*)"', page))


def rotate(browser: Client, token: APIToken, **sent: Any) -> Any:
    facts = hidden(browser, url_of(token, "rotate/")) | {"grace": "24", "expiration": "keep"}
    return browser.post(url_of(token, "rotate/"), facts | sent)


def test_new_secret_is_shown_once_and_both_work(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user)
    answer = rotate(browser, token)
    shown = WHOLE.search(text(answer))

    assert shown
    assert "no-store" in answer["Cache-Control"]
    assert "API token rotated" in text(answer)
    assert "Old secret works until" in text(answer)
    for key in (parse(shown[0]), old):
        assert verify(presented=key.spell(), at=now).token_id == token.pk
    for page in ("", "rotate/", "edit/"):
        assert not WHOLE.search(text(browser.get(url_of(token, page))))


def test_form_that_is_sent_twice_rotates_once(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)
    facts = hidden(browser, url_of(token, "rotate/")) | {"grace": "1", "expiration": "keep"}
    answers = [browser.post(url_of(token, "rotate/"), facts) for _time in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert "can't be shown again" in text(answers[1])
    assert APIToken.objects.get(pk=token.pk).rotations == 1


def test_form_from_before_anothers_rotation_changes_nothing(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user)
    facts = hidden(browser, url_of(token, "rotate/")) | {"grace": "1", "expiration": "keep"}
    rotation.rotate(token=token, by=Actor.member(user), at=now)
    answer = browser.post(url_of(token, "rotate/"), facts)
    assert answer.status_code == 400
    assert "has been rotated in the meantime" in text(answer)


def test_fault_in_what_is_shown_leaves_the_secret_as_it_was(
    browser: Client, user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _key = issue(user)
    facts = hidden(browser, url_of(token, "rotate/")) | {"grace": "0", "expiration": "keep"}

    def fail(*_args: Any, **_facts: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(reveal, "render", fail)
    assert WHOLE.search(text(browser.post(url_of(token, "rotate/"), facts)))  # alone
    monkeypatch.setattr(reveal, "render_to_string", fail)
    with pytest.raises(DatabaseError):
        rotate(browser, token, grace="0")
    assert APIToken.objects.get(pk=token.pk).rotations == 1


BAD: list[dict[str, str]] = [
    *({"grace": bad} for bad in ("", "2", "-1", "x", "24\x00", "9" * 400)),
    *({"rotations": bad} for bad in ("", "-1", "x", "9" * 400)),
    *({"form_key": bad} for bad in ("", "x", "\x00")),
    *({"expiration": bad} for bad in ("", "later")),
    {"expiration": "date"},
    *({"expiration": "date", "expires_on": bad} for bad in ("x", "2020-01-01", "9999-12-31")),
]


def test_bad_rotation_is_refused_and_changes_nothing(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)
    for bad in BAD:
        answer = rotate(browser, token, **bad)
        assert answer.status_code == 400, bad
    assert APIToken.objects.get(pk=token.pk).rotations == 0


def test_new_expiration_is_the_end_of_its_day(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user, expires_at=now + timedelta(days=2))
    day = (now + timedelta(days=40)).date()
    rotate(browser, token, expiration="date", expires_on=day.isoformat())
    token.refresh_from_db()
    assert token.expires_at
    assert abs(token.expires_at.date() - day) <= timedelta(days=1)
    rotate(browser, token, expiration="never")
    token.refresh_from_db()
    assert token.expires_at is None


def test_page_of_a_token_tells_of_the_old_secret_and_ends_it(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user)
    assert "Old secret" not in text(browser.get(url_of(token)))
    rotate(browser, token)
    verify(presented=old.spell(), at=now)
    page = text(browser.get(url_of(token)))
    assert "Old secret works until" in page
    assert "End the old secret now" in page
    assert "lose access immediately" in text(browser.get(url_of(token, "old-secret/end/")))
    assert APIToken.objects.get(pk=token.pk).has_working_old_secret(now)

    answer = browser.post(url_of(token, "old-secret/end/"), follow=True)

    assert "The old secret no longer works." in text(answer)
    assert "End the old secret now" not in text(answer)
    with pytest.raises(Refused):
        verify(presented=old.spell(), at=timezone.now())
    again = browser.post(url_of(token, "old-secret/end/"), follow=True)
    assert "has already ended" in text(again)


def test_token_that_cannot_be_rotated_says_why(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    page = text(browser.get(url_of(token, "rotate/")))
    assert "This API token was deleted." in page
    assert rotate(browser, token, rotations="0", form_key="").status_code == 400
    assert browser.get(url_of(token, "edit/")).status_code == 302


def test_edit_keeps_what_was_typed_and_tells_all_mistakes(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user, name="Backup", description="Nightly")
    page = browser.get(url_of(token, "edit/")).content.decode()
    assert 'value="Backup"' in page
    sent = {"name": "", "description": "Typed", "role": "1", "expiration": "date"}
    answer = browser.post(url_of(token, "edit/"), sent)
    assert answer.status_code == 400
    assert {"Enter a name.", "Choose the date on which the token expires."} <= set(
        answer.context["form"].errors.get("name", [])
        + answer.context["form"].errors.get("expires_on", [])
    )
    assert "Typed" in text(answer)


def test_edit_saves_and_goes_back(browser: Client, user: Membership, issue: Issue) -> None:
    token, _key = issue(user, name="Backup")
    back = f"{LIST}?q=Back"
    sent = {"name": "Restore", "description": "A\r\nB", "role": "2", "expiration": "keep"}
    answer = browser.post(url_of(token, "edit/"), sent | {"next": back})
    assert answer["Location"] == back
    token.refresh_from_db()
    assert (token.name, token.description) == ("Restore", "A\nB")


def test_edit_refuses_a_role_that_the_token_never_had(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)
    sent = {"name": "Backup", "role": "1", "expiration": "keep"}
    answer = browser.post(url_of(token, "edit/"), sent)
    assert answer.status_code == 400
    assert "can only be lowered" in text(answer)
    assert APIToken.objects.get(pk=token.pk).held_role is Role.USERS

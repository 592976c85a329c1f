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
from apitokens.models import APIToken, OldSecret
from apitokens.pages import reveal
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as token_services
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID
from tests.questions import hidden_fields

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


def test_after_anothers_rotation_the_form_can_be_sent_again(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)
    facts = hidden(browser, url_of(token, "rotate/")) | {"grace": "168", "expiration": "keep"}
    rotation.rotate(token=token, by=Actor.member(user), at=timezone.now())
    lost = browser.post(url_of(token, "rotate/"), facts)
    assert "has been rotated in the meantime" in text(lost)
    again = {name: lost.context["form"][name].value() for name in facts}
    assert again["grace"] == "168"
    assert WHOLE.search(text(browser.post(url_of(token, "rotate/"), again)))


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


def test_new_expiration_is_chosen_by_a_period_too(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)
    page = browser.get(url_of(token, "rotate/")).content.decode()
    ends_on = re.findall(r'name="expires_in"\s+value="([^"]+)"', page)[1]
    assert WHOLE.search(text(rotate(browser, token, expiration="date", expires_in=ends_on)))
    token.refresh_from_db()
    assert token.expires_at
    assert timezone.localtime(token.expires_at).date().isoformat() == ends_on


def test_page_of_a_token_tells_of_the_old_secret_and_ends_it(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user)
    assert "Old secret" not in text(browser.get(url_of(token)))
    rotate(browser, token)
    verify(presented=old.spell(), at=now)
    used_at = timezone.now()
    OldSecret.objects.update(last_used_at=used_at, last_used_address="203.0.113.7")
    page = text(browser.get(url_of(token)))
    assert f"{timezone.localtime(used_at):%H:%M}" in page.partition("Old secret")[2]
    assert "203.0.113.7" in page.partition("Old secret")[2]
    assert "Still used. Not all of your systems have the new secret." in page
    assert "Old secret works until" in page
    assert "End the old secret now" in page
    assert "lose access immediately" in text(browser.get(url_of(token, "old-secret/end/")))
    assert APIToken.objects.get(pk=token.pk).has_working_old_secret(now)

    answer = browser.post(url_of(token, "old-secret/end/"), follow=True)

    assert "The old secret no longer works." in text(answer)
    assert "Used until it ended" in text(answer)
    assert "Still used" not in text(answer)
    assert "End the old secret now" not in text(answer)
    with pytest.raises(Refused):
        verify(presented=old.spell(), at=timezone.now())
    again = browser.post(url_of(token, "old-secret/end/"), follow=True)
    assert "has already ended" in text(again)


def test_only_the_old_secret_that_was_asked_about_is_ended(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _first = issue(user)
    rotate(browser, token)
    question = browser.get(url_of(token, "old-secret/end/")).content.decode()
    shown = re.findall(r'name="shown" value="([^"]+)"', question)[-1]
    present = APIToken.objects.get(pk=token.pk)
    rotation.rotate(token=present, by=Actor.member(user), at=timezone.now())

    answer = browser.post(url_of(token, "old-secret/end/"), {"shown": shown}, follow=True)

    assert "its old secret is now another one. Nothing was changed." in text(answer)
    assert APIToken.objects.get(pk=token.pk).has_working_old_secret(timezone.now())
    shown = re.findall(r'name="shown" value="([^"]+)"', answer.content.decode())[-1]
    browser.post(url_of(token, "old-secret/end/"), {"shown": shown})
    assert not APIToken.objects.get(pk=token.pk).has_working_old_secret(timezone.now())


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
    assert {"Enter a name.", "Choose the token's expiration date."} <= set(
        answer.context["form"].errors.get("name", [])
        + answer.context["form"].errors.get("expires_on", [])
    )
    assert "Typed" in text(answer)


def test_all_mistakes_are_told_and_the_first_is_focused(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user, name="Backup", expires_at=now + timedelta(days=9))
    late = (now + timedelta(days=40)).date().isoformat()
    sent = {"name": "", "role": "1", "expiration": "date", "expires_on": late}
    answer = browser.post(url_of(token, "edit/"), sent)
    assert set(answer.context["form"].errors) == {"name", "role", "expires_on"}
    assert focused(answer) == ["id_name"]
    answer = browser.post(url_of(token, "edit/"), sent | {"name": "x" * 256, "role": "2"})
    assert "The name is too long. Use at most 255 characters." in text(answer)
    assert focused(answer) == ["id_name"]
    answer = browser.post(
        url_of(token, "edit/"), sent | {"name": "New", "expires_on": "2020-01-01"}
    )
    assert focused(answer) == ["id_role"]

    answer = rotate(browser, token, grace="", expiration="date", expires_on="2020-01-01")
    assert set(answer.context["form"].errors) == {"grace", "expires_on"}
    assert focused(answer) == ["id_grace"]


def focused(answer: Any) -> list[str]:
    tags = re.findall(r"<[^>]*\sautofocus[^>]*>", answer.content.decode())
    return [found[1] for tag in tags if (found := re.search(r'\sid="([^"]+)"', tag))]


def test_edit_offers_no_day_that_it_refuses(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    """The token ends in the middle of a day, as those that were made by the API."""
    token, _key = issue(user, expires_at=now + timedelta(days=9))
    page = browser.get(url_of(token, "edit/")).content.decode()
    latest = re.search(r'max="([^"]+)"', page)
    assert latest
    sent = {"name": "A", "role": "2", "expiration": "date", "expires_on": latest[1]}
    assert browser.post(url_of(token, "edit/"), sent).status_code == 302


def test_expired_token_is_offered_nothing_impossible(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    before = now - timedelta(days=9)
    token, _key = issue(user, at=before, expires_at=now - timedelta(days=2))
    answer = browser.get(url_of(token, "edit/"))
    assert "This API token has expired. Create a new one." in text(answer)
    page = answer.content.decode()
    assert 'name="expires_on"' not in page
    assert url_of(token, "rotate/") not in page
    sent = {"name": "Renamed", "role": "2", "expiration": "keep"}
    assert browser.post(url_of(token, "edit/"), sent).status_code == 302
    assert 'name="grace"' not in browser.get(url_of(token, "rotate/")).content.decode()


@pytest.mark.parametrize("page", ["edit/", "rotate/"])
def test_what_was_typed_before_signing_in_again_is_kept(
    user: Membership, issue: Issue, sign_in: SignIn, page: str
) -> None:
    token, _key = issue(user, name="Before")
    browser = Client(enforce_csrf_checks=True)
    sign_in(browser, user)
    address = url_of(token, page)
    typed = hidden(browser, address) | {
        "name": "Typed",
        "role": "2",
        "grace": "168",
        "expiration": "date",
        "expires_on": "2099-01-02",
        "typed_by": str(user.user_id),
    }
    stale = typed | {"csrfmiddlewaretoken": "x" * 64}
    answer = browser.post(address, stale, headers={"Origin": "http://testserver"})
    assert answer.status_code == 403
    assert "nothing was changed yet" in text(answer)
    assert "2099-01-02" in answer.content.decode()

    browser = Client()
    browser.post(address, typed)
    sign_in(browser, user)
    kept = browser.get(address)
    assert "nothing was changed yet" in text(kept)
    assert "2099-01-02" in kept.content.decode()
    assert "2099-01-02" not in browser.get(address).content.decode(), "once"
    token.refresh_from_db()
    assert (token.name, token.rotations) == ("Before", 0)


def test_after_the_dialog_the_page_says_once_that_the_token_was_rotated(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user, name="Nightly")
    leave = re.search(
        r'href="([^"]+)"\s+data-secret-leave', rotate(browser, token).content.decode()
    )
    assert leave
    answer = browser.get(leave[1], follow=True)
    assert answer.redirect_chain == [(url_of(token), 302)]
    assert "“Nightly” was rotated." in text(answer)
    assert "was rotated." not in text(browser.get(leave[1], follow=True))


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


def test_expiration_that_was_changed_since_is_asked_about_again(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, expires_at=now + timedelta(days=300)).token
    address = url_of(token, "rotate/")
    sent = hidden_fields(browser, address) | {"grace": "24", "expiration": "keep"}
    sooner: editing.Changes = {"expires_at": now + timedelta(days=2)}
    editing.edit(token=token, changes=sooner, by=Actor.member(user), at=now)

    refused = browser.post(address, sent)

    assert refused.status_code == 400
    assert "The expiration was changed after you opened the page." in text(refused)
    token.refresh_from_db()
    assert token.rotations == 0
    again = re.search(r'name="shown" value="([^"]*)"', refused.content.decode())
    assert again is not None
    numbers = dict(
        re.findall(r'name="(form_key|rotations)" value="([^"]*)"', refused.content.decode())
    )
    assert browser.post(address, {**sent, **numbers, "shown": again[1]}).status_code == 200
    token.refresh_from_db()
    assert (token.rotations, token.expires_at) == (1, sooner["expires_at"])

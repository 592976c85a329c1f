"""Looking up a token that was found: whose it is, told to who may know, and nothing is kept."""

import re
from collections.abc import Callable
from datetime import datetime
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership, User
from apitokens.keys import Key
from apitokens.lookup import notifications
from apitokens.models import Status
from apitokens.tokens import rotation
from apitokens.verification.decision import Reason
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

URL = f"/accounts/{ACCOUNT_ID}/api-tokens/look-up/"
OPERATORS = "/operators/apitokens/apitoken/look-up/"


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


def text(answer: object) -> str:
    content = answer.content.decode()  # type: ignore[attr-defined]  # an answer of the test client
    return re.sub(r"\s+", " ", unescape(strip_tags(content)))


def look_up(browser: Client, pasted: str, url: str = URL) -> str:
    """What a person reads in the end."""
    return text(browser.post(url, {"token": pasted}, follow=True))


@pytest.mark.parametrize(
    "pasted",
    ["{}", "  {}\n", "Authorization: APIKey {}", '10.0.0.1 - "GET /x?key={}&a=1" 200', "'{}'"],
)
@pytest.mark.parametrize("separator", ["$", "_", "%24"])
def test_whole_token_is_found_wherever_it_stands(
    browser: Client,
    user: Membership,
    issue: Issue,
    nothing_kept: list[Key],
    pasted: str,
    separator: str,
) -> None:
    token, key = issue(user, name="Nightly backup")
    nothing_kept.append(key)
    answer = browser.post(URL, {"token": pasted.format(key.spell().replace("$", separator))})
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/{ACCOUNT_ID}/api-tokens/{token.pk}/"
    assert answer["Cache-Control"].count("no-store")
    said = text(browser.get(answer["Location"]))
    assert f"This is “Nightly backup”, issued by {user.user.name} with the role Users." in said
    assert "The token is complete and works. If it leaked, delete it now." in said
    assert "Delete API token" in said
    assert key.secret not in said


SAID = {
    Status.ACTIVE: "The token is complete and works.",
    Status.SUSPENDED: "It is suspended and can't be used until its issuer signs in",
    Status.EXPIRED: "It has expired, so it can't be used.",
    Status.DELETED: "It was deleted, so it can't be used.",
}


@pytest.mark.parametrize("status", Status)
def test_every_status_is_told(
    browser: Client, token_with: Callable[[Status], Key], status: Status
) -> None:
    key = token_with(status)
    assert SAID[status] in look_up(browser, key.spell())


def test_token_of_a_deactivated_issuer_is_not_said_to_work(
    browser: Client, user: Membership, issue: Issue
) -> None:
    key = issue(user).key
    User.objects.filter(pk=user.user_id).update(is_active=False)
    said = look_up(browser, key.spell())
    assert "Its issuer or the account is deactivated, so it can't be used" in said
    assert "This token is rejected" in said
    assert "and works" not in said
    page = browser.get(f"/accounts/{ACCOUNT_ID}/api-tokens/")
    assert "Issuer deactivated" in text(page)
    assert [row.is_stopped for row in page.context["rows"]] == [True]
    file = browser.get(f"/accounts/{ACCOUNT_ID}/api-tokens/export.csv")
    assert b'"issuer_inactive"' in b"".join(file.streaming_content)  # type: ignore[attr-defined]


def test_each_reason_to_refuse_a_token_has_its_words() -> None:
    about_who_asks = {Reason.ADDRESS_NOT_ALLOWED}
    assert set(notifications._REFUSED) == set(Reason) - about_who_asks


def test_wrong_secret_other_account_and_unknown_id_are_told_alike(
    browser: Client, user: Membership, issue: Issue, now: datetime, nothing_kept: list[Key]
) -> None:
    own, elsewhere = issue(user).key, issue(MembershipFactory.create()).key
    told = set()
    for key in (Key(own.id, "0" * 64), elsewhere, Key(5, "0" * 64)):
        nothing_kept.append(key)
        answer = browser.post(URL, {"token": key.spell()})
        assert answer.status_code == 400
        assert key.secret not in answer.content.decode()
        told.add(re.sub(r"\d{9}", "", text(answer)))
    assert len(told) == 1
    assert "No API token matches." in told.pop()
    assert not AuditEvent.objects.filter(kind="token.looked_up").exists()


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("", "Paste a token."),
        ("123456789", "This is only the ID."),
        ("123456789$", "This is only the ID."),
        ("123456789$" + "0" * 71, "This isn't a complete API token."),
        ("123456789$" + "0" * 72, "This isn't a complete API token."),
        ("99999999999999999999$" + "0" * 72, "This isn't a complete API token."),
        ("nothing of the kind", "This isn't a complete API token."),
        ("x" * 4_001, "This text is too long."),
        ("\0", "Null characters are not allowed."),
    ],
)
def test_what_is_no_token_is_told(browser: Client, pasted: str, sentence: str) -> None:
    answer = browser.post(URL, {"token": pasted})
    assert answer.status_code == 400
    assert sentence in text(answer)
    assert not pasted or pasted not in answer.content.decode().split("<main")[1]


def test_look_up_leaves_an_event_of_who_asked(
    browser: Client, administrator: Membership, user: Membership, issue: Issue
) -> None:
    token, key = issue(user)
    look_up(browser, key.spell())
    event = AuditEvent.objects.get(kind="token.looked_up")
    assert (event.user, event.subject_id) == (administrator.user, token.pk)
    assert "Looked up by the whole token" in text(
        browser.get(f"/accounts/{ACCOUNT_ID}/api-tokens/{token.pk}/")
    )


def test_others_than_administrators_may_not(
    client: Client, user: Membership, issue: Issue, sign_in: SignIn
) -> None:
    sign_in(client, user)
    key = issue(user).key
    assert client.get(URL).status_code == 403
    assert client.post(URL, {"token": key.spell()}).status_code == 403
    assert "Look up a token" not in text(client.get(f"/accounts/{ACCOUNT_ID}/api-tokens/"))


def test_operators_look_up_tokens_of_any_account(
    admin_client: Client, issue: Issue, nothing_kept: list[Key]
) -> None:
    token, key = issue(MembershipFactory.create(), name="Elsewhere")
    nothing_kept.append(key)
    assert "Look up a token" in text(admin_client.get("/operators/apitokens/apitoken/"))
    answer = admin_client.post(OPERATORS, {"token": key.spell()})
    assert answer["Location"] == f"/operators/apitokens/apitoken/{token.pk}/change/"
    assert "This is “Elsewhere”" in text(admin_client.get(answer["Location"]))
    assert "No API token matches." in look_up(admin_client, Key(5, "0" * 64).spell(), OPERATORS)


def test_old_secret_of_a_rotated_token_is_found_too(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    token, old = issue(administrator)
    by = Actor.member(administrator)
    new = rotation.rotate(token=token, by=by, at=timezone.now()).key
    assert "which still works. If it leaked, end it now." in look_up(browser, old.spell())
    assert "The token is complete and works." in look_up(browser, new.spell())
    rotation.end_old_secret(token=token, by=by, at=timezone.now())
    assert "old secret, which no longer works." in look_up(browser, old.spell())


@pytest.mark.parametrize("written", ["%24", "%2524", "%252524", "%5F", "%5f", "&#36;", "\\u0024"])
def test_token_is_found_however_its_separator_is_written(
    browser: Client, administrator: Membership, issue: Issue, written: str
) -> None:
    pasted = issue(administrator).key.spell().replace("$", written)
    assert browser.post(URL, {"token": f"GET /?token={pasted} 200"}).status_code == 302


def test_token_is_found_beside_what_only_looks_like_one(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    line = f"123${'0' * 72} {issue(administrator).key.spell()}"
    assert browser.post(URL, {"token": line}).status_code == 302

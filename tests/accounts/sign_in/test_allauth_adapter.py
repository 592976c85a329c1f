"""Signing in and out, and what is remembered of it."""

import re
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags
from django.utils.module_loading import import_string

from accounts.models import AuditEvent, Membership
from config import settings as settings_of_the_portal
from tests.factories import ACCOUNT_ID, PASSWORD

pytestmark = pytest.mark.django_db

URL = "/sign-in/"
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str) -> Any:
    return client.post(URL, {"login": email, "password": password, **more})


def is_signed_in(client: Client) -> bool:
    return client.get(LIST).status_code == 200


def test_person_signs_in_with_e_mail_and_password(client: Client, user: Membership) -> None:
    answer = sign_in(client, user.user.email)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_signed_in(client)


def test_e_mail_is_read_in_any_case(client: Client, user: Membership) -> None:
    sign_in(client, user.user.email.upper())
    assert is_signed_in(client)


@pytest.mark.parametrize("form", ["\u200b{}", "\ufeff{}\n", "{}\u200b\xa0"])
def test_e_mail_is_read_without_what_was_copied_along(
    client: Client, user: Membership, form: str
) -> None:
    email = form.format(user.user.email)
    assert client.post(URL, {"login": email}).context["form"].initial["login"] == user.user.email
    sign_in(client, email)
    assert is_signed_in(client)
    assert Client().post(reverse("account_reset_password"), {"email": email}).status_code == 302


def test_wrong_password_and_unknown_e_mail_are_told_alike(client: Client, user: Membership) -> None:
    wrong = sign_in(client, user.user.email, "wrong")
    unknown = sign_in(client, "nobody@example.com", "wrong")
    assert (wrong.status_code, unknown.status_code) == (200, 200)
    assert "is incorrect" in text(wrong)
    assert text(wrong) == text(unknown)
    assert not is_signed_in(client)


def test_deactivated_person_may_not_sign_in(client: Client, user: Membership) -> None:
    user.user.is_active = False
    user.user.save()
    sign_in(client, user.user.email)
    assert not is_signed_in(client)


def test_guesses_are_slowed_down(client: Client, user: Membership) -> None:
    answers = [sign_in(client, user.user.email, f"guess {number}") for number in range(8)]
    assert "Too many failed attempts" in text(answers[-1])
    sign_in(client, user.user.email)
    assert not is_signed_in(client)


def test_person_signs_out(client: Client, user: Membership) -> None:
    sign_in(client, user.user.email)
    client.post("/sign-out/")
    assert not is_signed_in(client)


def test_link_alone_signs_nobody_out(client: Client, user: Membership) -> None:
    sign_in(client, user.user.email)
    client.get("/sign-out/")
    assert is_signed_in(client)


def test_session_gets_a_new_key_on_signing_in(client: Client, user: Membership) -> None:
    client.get(URL)
    before = client.session.session_key
    sign_in(client, user.user.email)
    assert client.session.session_key != before


def test_signing_in_and_out_leave_events(client: Client, user: Membership) -> None:
    sign_in(client, user.user.email)
    client.post("/sign-out/")
    events = AuditEvent.objects.order_by("pk")
    assert [(event.kind, event.user, event.address) for event in events] == [
        ("sign_in.succeeded", user.user, "127.0.0.1"),
        ("sign_out", user.user, "127.0.0.1"),
    ]


def test_refused_sign_in_leaves_an_event_that_names_whom_it_was_tried_for(
    client: Client, user: Membership
) -> None:
    sign_in(client, user.user.email.upper(), "wrong")
    event = AuditEvent.objects.get()
    assert (event.kind, event.user, event.subject_id) == ("sign_in.refused", None, user.user.pk)
    assert "wrong" not in str(event.details)


def test_refused_sign_in_of_nobody_remembers_no_address_that_was_typed(client: Client) -> None:
    sign_in(client, "my-password-by-mistake@example.com", "wrong")
    event = AuditEvent.objects.get()
    assert (event.kind, event.subject_id) == ("sign_in.refused", None)
    assert "mistake" not in str(event.details)


def test_event_tells_how_and_with_which_browser(client: Client, user: Membership) -> None:
    client.post(URL, {"login": user.user.email, "password": PASSWORD}, HTTP_USER_AGENT="Lynx\x00/2")
    event = AuditEvent.objects.get()
    assert event.details == {"user_agent": "Lynx /2", "auth_type": "password"}


def test_planted_session_key_is_not_kept_at_sign_in(client: Client, user: Membership) -> None:
    client.get("/password/forgotten/")
    planted = client.session
    planted["seen"] = True
    planted.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = planted.session_key or ""
    sign_in(client, user.user.email)
    assert is_signed_in(client)
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = planted.session_key or ""
    assert not is_signed_in(thief)


def test_password_is_hashed_with_argon2() -> None:
    assert settings_of_the_portal.PASSWORD_HASHERS[0].endswith(".Argon2")
    hasher = import_string(settings_of_the_portal.PASSWORD_HASHERS[0])()
    assert hasher.encode("secret", hasher.salt()).startswith("argon2$argon2id$")


def test_cookies_are_closed_to_scripts_and_to_other_sites(client: Client, user: Membership) -> None:
    answer = sign_in(client, user.user.email)
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        assert answer.cookies[name]["httponly"], name
        assert answer.cookies[name]["samesite"] == "Lax", name


def test_page_that_was_asked_for_comes_after_signing_in(client: Client, user: Membership) -> None:
    wanted = f"{LIST}?status=all"
    assert sign_in(client, user.user.email, next=wanted)["Location"] == wanted


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example/",
        "https:evil.example",
        "https:///evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "//testserver@evil.example",
        "/\t/evil.example",
        " //evil.example",
        "\0",
        "\r\nSet-Cookie: a=b",
        "http://testserver/profile/",
        "http://127.0.0.1/",
        "//localhost/",
    ],
)
def test_signing_in_leads_to_no_other_site(
    client: Client, user: Membership, elsewhere: str
) -> None:
    asked = client.get(URL, {"next": elsewhere})
    assert asked.status_code == 200
    answer = sign_in(client, user.user.email, next=elsewhere)
    assert answer.status_code in (200, 302)
    if answer.status_code == 302:
        assert answer["Location"] == "/"
    assert "Set-Cookie: a" not in str(answer.headers)


BAD = [
    {},
    {"login": ""},
    {"login": "", "password": ""},
    {"login": "x"},
    {"login": "x", "password": ""},
    {"login": "", "password": "x"},
    {"login": "\0", "password": "\0"},
    {"login": "a\0@example.com", "password": "x"},
    {"login": "a@example.com\n", "password": "x"},
    {"login": "x" * 100_000, "password": "x"},
    {"login": f"{'x' * 320}@example.com", "password": "x"},
    {"login": "a@example.com", "password": "x" * 200_000},
    {"login": "<script>alert('x')</script>", "password": "<script>"},
    {"login": "' OR 1=1 --", "password": "' OR 1=1 --"},
    {"login": "ä@exämple.com", "password": "ü"},
    {"login": "\u202e@example.com", "password": "\u202e"},
    {"login": ["a@example.com", "b@example.com"], "password": ["x", "y"]},
]


@pytest.mark.parametrize("form", BAD, ids=lambda form: repr(form)[:50])
def test_bad_form_is_told_and_signs_nobody_in(
    client: Client, user: Membership, form: dict[str, Any]
) -> None:
    answer = client.post(URL, form)
    assert answer.status_code in (200, 400)
    assert "<script>alert" not in answer.content.decode()
    assert "to continue" in text(answer) or "is incorrect" in text(answer)
    assert not is_signed_in(client)


@pytest.mark.parametrize("size", [300_000, 2_000_000])
def test_huge_form_is_refused(client: Client, size: int) -> None:
    assert sign_in(client, "a@example.com", "x" * size).status_code == 413


def test_form_of_another_site_is_refused(user: Membership) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert sign_in(browser, user.user.email).status_code == 403


def test_operators_pages_are_closed_to_members(client: Client, administrator: Membership) -> None:
    sign_in(client, administrator.user.email)
    assert client.get("/operators/").status_code in (302, 403)
    assert client.get("/operators/", follow=True).status_code == 403

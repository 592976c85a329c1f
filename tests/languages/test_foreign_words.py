"""What is English on a page of another language says so: a screen reader would read it with the
sounds of that language (WCAG 3.1.2)."""

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from accounts.authorization.actor import Actor
from accounts.invitations.services import invite
from accounts.models import Membership
from accounts.roles import Role
from apitokens.expiry.scan import scan
from notifications.email.rendering import render_mail
from notifications.models import Mail, Notice
from tests.apitokens.pages.creation.test_create import filled_in
from tests.conftest import SignIn
from tests.every_page.places import ADMINISTRATOR, page_routes, person_for
from tests.factories import MembershipFactory, issue
from tests.tenancy.fixture import build

pytestmark = pytest.mark.django_db

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "use", "wbr"}
UNREAD = {"script", "style", "title", "code", "pre", "textarea"}
"""What is not read as words."""
ROLE = re.compile(r"\b(?:" + "|".join(map(re.escape, Role.labels)) + r")(?!\w)")
ENGLISH = {"the", "of", "to", "is", "and", "for", "with", "this", "that", "are", "by", "not", "or"}


class Texts(HTMLParser):
    """The texts of a page with the language that each is said to be in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self._open: list[tuple[str, str, bool]] = [("", "", True)]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        given = dict(attrs)
        _tag, language, is_read = self._open[-1]
        is_read = is_read and tag not in UNREAD and given.get("dir") != "auto"
        self._open.append((tag, given.get("lang") or language, is_read))

    def handle_endtag(self, tag: str) -> None:
        if any(tag == each for each, _language, _is_read in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        _tag, language, is_read = self._open[-1]
        if is_read and data.strip():
            self.texts.append((" ".join(data.split()), language))


def unmarked(page: str) -> list[str]:
    """The English texts of a page that are not said to be English."""
    return [
        text for text, language in Texts(page).texts if language[:2] != "en" and _is_english(text)
    ]


def _is_english(text: str) -> bool:
    words = re.findall(r"[a-z']+", text.lower())
    is_sentence = len(words) > 4 and sum(word in ENGLISH for word in words) >= 0.2 * len(words)
    return is_sentence or ROLE.search(text) is not None


@pytest.fixture
def pages(client: Client, sign_in_now: SignIn) -> dict[str, str]:
    """Every page of an Administrator who reads Russian, by the name of its route."""
    tenancy = build()
    Notice.objects.all().delete()  # what was posted keeps the language that it was posted in
    member = tenancy.administrator
    MembershipFactory.create(user=member.user, role=Role.USERS)  # so that accounts can be switched
    member.user.language = "ru"
    member.user.save()
    sign_in_now(client, member)
    answers: dict[str, Any] = {
        route.name: client.get(route.address(tenancy))
        for route in page_routes()
        if person_for(route.name) == ADMINISTRATOR
    }
    answers["created"] = client.post(address_of_creation(member), filled_in())
    return {
        name: answer.content.decode()
        for name, answer in answers.items()
        if answer.status_code == 200
    }


def address_of_creation(member: Membership) -> str:
    return f"/accounts/{member.account_id}/api-tokens/create/"


def test_english_says_that_it_is_english(pages: dict[str, str]) -> None:
    assert len(pages) > 40
    assert "created" in pages
    found = {name: texts for name, page in pages.items() if (texts := unmarked(page))}
    assert found == {}


def test_mails_say_so_too(administrator: Membership, now: datetime) -> None:
    administrator.user.language = "ru"
    administrator.user.save()
    ends_at, before = now + timedelta(hours=20), now - timedelta(days=9)
    issue(administrator, role=Role.ADMINISTRATORS, at=before, expires_at=ends_at)
    scan(at=now)
    invite(
        account=administrator.account,
        email="colleague@example.com",
        role=Role.PURGE_AND_PREFETCH_WEB,
        language="ru",
        by=Actor.member(administrator),
        at=now,
    )
    mails = Mail.objects.select_related("user", "account").order_by("pk")
    rendered = {mail.kind: render_mail(mail, at=now) for mail in mails}
    written = {kind: mail.html for kind, mail in rendered.items() if mail}
    assert len(written) == 2
    assert {kind: texts for kind, mail in written.items() if (texts := unmarked(mail))} == {}
    bare = {kind: mail.replace('<span lang="en">', "<span>") for kind, mail in written.items()}
    assert all(unmarked(mail) for mail in bare.values())


def test_there_is_english_to_be_found(pages: dict[str, str]) -> None:
    """Else the test above could not fail."""
    bare = {name: re.sub(r' lang="en"', "", page) for name, page in pages.items()}
    found = {name for name, page in bare.items() if unmarked(page)}
    assert {"apitokens:list", "apitokens:create", "accounts:people", "accounts:account"} <= found

"""Scopes in the portal: the forms of a token, what pages say of it, and the page of services."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken, Service
from apitokens.pages.samples import samples
from apitokens.scopes.services import ScopeFacts, edit, register
from tests.conftest import Issue, SignIn
from tests.factories import UserFactory

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture(autouse=True)
def cdn(administrator: Membership, now: datetime) -> Service:
    scopes = [ScopeFacts("purge", "Purge"), ScopeFacts("read", "Read")]
    account = administrator.account
    return register(account=account, code="cdn", name="CDN", scopes=scopes, by=OPERATOR, at=now)


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


def tokens(member: Membership, rest: str = "") -> str:
    return f"/accounts/{member.account_id}/api-tokens/{rest}"


def sent(**fields: Any) -> dict[str, Any]:
    usual = {"name": "CI", "role": Role.USERS.value, "expiration": "never", "form_key": uuid4()}
    return {**usual, **fields}


def rows(*scopes: tuple[str, str], **fields: str) -> dict[str, str]:
    texts = {"scopes-TOTAL_FORMS": str(len(scopes)), "scopes-INITIAL_FORMS": "0", **fields}
    for number, (code, name) in enumerate(scopes):
        texts |= {f"scopes-{number}-code": code, f"scopes-{number}-name": name}
    return texts


@pytest.mark.parametrize(
    ("fields", "scopes"),
    [
        ({}, None),
        ({"access": "all"}, None),
        ({"access": "chosen", "scopes": ["cdn:purge", "users:read"]}, "cdn:purge users:read"),
        ({"access": "read"}, "audit:read cdn:read tokens:read users:read"),
    ],
)
def test_token_is_created_with_what_was_chosen(
    browser: Client, administrator: Membership, fields: dict[str, Any], scopes: str | None
) -> None:
    answer = browser.post(tokens(administrator, "create/"), sent(**fields))
    assert answer.status_code == 200
    assert APIToken.objects.get().scopes == scopes


@pytest.mark.parametrize(
    "fields",
    [
        {"access": "chosen"},
        {"access": "all", "scopes": ["cdn:purge"]},
        {"scopes": ["cdn:purge"]},
        {"access": "read", "scopes": ["cdn:purge"]},
        {"access": "chosen", "scopes": ["cdn:gone"]},
        {"access": "chosen", "scopes": ["cdn:purge", "\0"]},
        {"access": "x"},
    ],
)
def test_what_is_not_clear_creates_nothing_and_loses_nothing(
    browser: Client, administrator: Membership, fields: dict[str, Any]
) -> None:
    """Ticks that would not count are no mistake to be silent about: the token would have all."""
    answer = browser.post(tokens(administrator, "create/"), sent(**fields, name="Typed name"))
    assert answer.status_code == 400
    assert "Typed name" in answer.content.decode()
    assert not APIToken.objects.exists()


def test_edit_begins_with_what_the_token_has(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    token = issue(administrator, scopes=["cdn:purge"]).token
    page = browser.get(tokens(administrator, f"{token.pk}/edit/"))
    form = page.context["form"]
    assert form["access"].value() == "chosen"
    assert form["scopes"].value() == ["cdn:purge"]


@pytest.mark.parametrize(
    ("fields", "scopes"),
    [
        ({}, "cdn:purge"),
        ({"access": "all", "scopes": ["cdn:purge"]}, None),
        ({"access": "chosen", "scopes": ["cdn:read"]}, "cdn:read"),
    ],
)
def test_edit_changes_what_was_chosen(
    browser: Client,
    administrator: Membership,
    issue: Issue,
    fields: dict[str, Any],
    scopes: str | None,
) -> None:
    """Also from a page of before, which does not know of scopes."""
    token = issue(administrator, scopes=["cdn:purge"]).token
    changes = {"name": "X", "role": Role.USERS.value, "expiration": "keep", **fields}
    browser.post(tokens(administrator, f"{token.pk}/edit/"), changes)
    token.refresh_from_db()
    assert (token.name, token.scopes) == ("X", scopes)


def test_pages_say_what_a_token_is_limited_to(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issue(administrator, scopes=["cdn:read"])
    token = issue(administrator, scopes=["cdn:purge", "cdn:read"]).token
    for page in ("", "access/"):
        text = browser.get(tokens(administrator, page)).content.decode()
        assert "2 scopes" in text
        assert "Read only" in text
    text = browser.get(tokens(administrator, f"{token.pk}/")).content.decode()
    assert "cdn:purge" in text
    assert "Purge" in text
    answer: Any = browser.get(tokens(administrator, "export.csv"))
    file = b"".join(answer.streaming_content)
    assert b"cdn:purge cdn:read" in file


def test_list_costs_the_same_with_scopes(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            browser.get(tokens(administrator))
        return len(asked)

    issue(administrator)
    queries()
    before = queries()
    for _number in range(3):
        issue(administrator, scopes=["cdn:purge"])
    assert queries() == before


def test_samples_ask_for_what_the_token_may_have() -> None:
    def curl(scopes: list[str] | None) -> str:
        made = samples("1$x", account_id=1, base_url="http://portal", scopes=scopes)
        return next(each.text for each in made if each.key == "curl")

    assert "/iam/clients/1/tokens" in curl(None)
    assert "/iam/clients/1/tokens" in curl(["tokens:read"])
    assert "/iam/auth/verify" in curl(["cdn:purge"])


def test_service_is_registered(browser: Client, administrator: Membership) -> None:
    scopes = rows(("upload", "Upload"), ("", ""), code="video", name="Video")
    scopes["scopes-0-name_de"] = "Hochladen"
    answer = browser.post(tokens(administrator, "services/new/"), scopes)
    assert answer.status_code == 302
    scope = Service.objects.get(code="video").scopes.get()
    assert (scope.code, scope.name, scope.names) == ("upload", "Upload", {"de": "Hochladen"})
    assert "video:upload" in browser.get(tokens(administrator, "services/")).content.decode()
    assert "video:upload" in browser.get(tokens(administrator, "create/")).content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        rows(("a", "A"), code="cdn", name="Again"),
        rows(("a", "A"), code="C D", name="X"),
        rows(("a", ""), code="x", name="X"),
        rows(("", "A"), code="x", name="X"),
        rows(("A", "A"), code="x", name="X"),
        rows(("a", "A"), ("a", "B"), code="x", name="X"),
        rows(code="x", name="X"),
        rows(("a", "A"), code="x", name=""),
        {**rows(("a", "A"), code="x", name="X"), "scopes-TOTAL_FORMS": "x"},
        {**rows(("a", "A"), code="x", name="X"), "scopes-TOTAL_FORMS": "99999"},
    ],
)
def test_service_that_is_none_is_refused(
    browser: Client, administrator: Membership, fields: dict[str, str]
) -> None:
    answer = browser.post(tokens(administrator, "services/new/"), fields)
    assert answer.status_code == 400
    assert Service.objects.count() == 1


@pytest.mark.parametrize("field", ["name", "name_de", "scopes-0-name", "scopes-0-name_ru"])
def test_wrong_name_is_told_where_it_stands(
    browser: Client, administrator: Membership, field: str
) -> None:
    texts = {**rows(("a", "A"), code="x", name="X"), field: "turned \u202e round"}
    answer = browser.post(tokens(administrator, "services/new/"), texts)
    assert answer.status_code == 400
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert Service.objects.count() == 1


def test_row_that_is_emptied_is_removed(
    browser: Client, administrator: Membership, cdn: Service
) -> None:
    address = tokens(administrator, f"services/{cdn.pk}/")
    changes = rows(("", ""), ("read", "Read all"), name="CDN")
    changes["scopes-INITIAL_FORMS"] = "2"
    assert browser.post(address, changes).status_code == 302
    assert [(each.code, each.name) for each in cdn.scopes.all()] == [("read", "Read all")]


class Page:
    """The page of a service as one Administrator has opened it."""

    def __init__(self, browser: Client, address: str) -> None:
        self._browser, self._address = browser, address
        answer = browser.get(address)
        context = answer.context
        for name, value in (("seen", context["form"].seen), ("shown", context["shown"])):
            assert f'name="{name}" value="{value}"' in answer.content.decode()
        self.rows = [(each.code, each.name) for each in context["service"].scopes.all()]
        self._facts = {"seen": context["form"].seen, "shown": context["shown"], "name": "CDN"}

    def save(self, *scopes: tuple[str, str], **fields: str) -> Any:
        changes = rows(*(scopes or self.rows), **{**self._facts, **fields})
        return self._browser.post(self._address, changes)


@pytest.fixture
def page(browser: Client, administrator: Membership, cdn: Service) -> Page:
    return Page(browser, tokens(administrator, f"services/{cdn.pk}/"))


def codes(service: Service) -> list[str]:
    return sorted(service.scopes.values_list("code", flat=True))


def test_later_editor_takes_back_nothing_that_was_not_shown(
    page: Page, cdn: Service, now: datetime
) -> None:
    """Another Administrator adds a scope and a name while the page is open."""
    scopes = [*(ScopeFacts(*each) for each in page.rows), ScopeFacts("upload", "Upload")]
    edit(service=cdn, name="CDN", names={"de": "Netz"}, scopes=scopes, by=OPERATOR, at=now)

    assert page.save(name="Delivery").status_code == 302

    cdn.refresh_from_db()
    assert (cdn.name, cdn.names) == ("Delivery", {"de": "Netz"})
    assert codes(cdn) == ["purge", "read", "upload"]


def test_scopes_changed_here_and_elsewhere_are_refused_once(
    page: Page, cdn: Service, now: datetime
) -> None:
    scopes = [*(ScopeFacts(*each) for each in page.rows), ScopeFacts("upload", "Upload")]
    edit(service=cdn, name="CDN", scopes=scopes, by=OPERATOR, at=now)
    mine = [*page.rows, ("list", "List")]

    mistaken = page.save(*mine, ("incomplete", ""))
    assert mistaken.status_code == 400
    refused = page.save(*mine, shown=mistaken.context["shown"])
    assert refused.status_code == 400
    assert "purge (Purge), read (Read), upload (Upload)" in refused.content.decode()
    assert codes(cdn) == ["purge", "read", "upload"]
    assert page.save(*mine, shown=refused.context["shown"]).status_code == 302
    assert codes(cdn) == ["list", "purge", "read"]


def test_names_have_fields_for_english_too(
    browser: Client, administrator: Membership, cdn: Service, now: datetime
) -> None:
    """The name itself may be in another language."""
    scopes = [ScopeFacts("purge", "Leeren", {"en": "Purge"})]
    edit(service=cdn, name="Netz", names={"en": "Net"}, scopes=scopes, by=OPERATOR, at=now)
    text = browser.get(tokens(administrator, f"services/{cdn.pk}/")).content.decode()
    assert 'value="Net"' in text
    assert 'value="Purge"' in text


def test_service_that_was_changed_after_the_question_is_not_removed(
    browser: Client, administrator: Membership, cdn: Service, now: datetime
) -> None:
    address = tokens(administrator, f"services/{cdn.pk}/remove/")
    shown = browser.get(address).context["shown"]
    assert shown in browser.get(address).content.decode()
    edit(service=cdn, name="CDN", scopes=[ScopeFacts("list", "List")], by=OPERATOR, at=now)
    assert browser.post(address, {"shown": shown}).status_code == 400
    assert Service.objects.exists()
    shown = browser.get(address).context["shown"]
    assert browser.post(address, {"shown": shown}).status_code == 302


def test_scope_in_use_stays_and_its_tokens_are_shown(
    browser: Client, administrator: Membership, cdn: Service, issue: Issue
) -> None:
    token = issue(administrator, name="Deploy", scopes=["cdn:purge"]).token
    address = tokens(administrator, f"services/{cdn.pk}/")
    for answer in (
        browser.post(address, rows(("read", "Read"), name="CDN")),
        browser.post(f"{address}remove/"),
    ):
        assert answer.status_code == 400
        assert "Deploy" in answer.content.decode()
        assert f"ids={token.pk}" in answer.content.decode()
    assert cdn.scopes.count() == 2


def test_service_is_removed_after_a_question(
    browser: Client, administrator: Membership, cdn: Service
) -> None:
    address = tokens(administrator, f"services/{cdn.pk}/remove/")
    assert browser.get(address).status_code == 200
    assert Service.objects.exists()
    assert browser.post(address).status_code == 302
    assert not Service.objects.exists()


@pytest.fixture
def operators_client(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    return client


def test_operator_registers_for_all_accounts(operators_client: Client) -> None:
    add = "/operators/apitokens/service/add/"
    facts = {"code": "video", "name": "Video", "account": "", "in_other_languages": "de=Filme"}
    wrong = operators_client.post(add, facts | {"scope_lines": "Up load | Upload"})
    assert wrong.status_code == 400
    assert not Service.objects.filter(code="video").exists()
    for names in ("fr=Films", "de=turned \u202e round"):
        told = operators_client.post(
            add, facts | {"scope_lines": "upload | Upload", "in_other_languages": names}
        )
        assert told.context["errors"], names
        assert not Service.objects.filter(code="video").exists()
    made = operators_client.post(add, facts | {"scope_lines": "upload | Upload | de=Hochladen\n\n"})
    assert made.status_code == 302
    service = Service.objects.get(code="video")
    assert (service.account, service.names) == (None, {"de": "Filme"})
    assert service.scopes.get().names == {"de": "Hochladen"}
    change = f"/operators/apitokens/service/{service.pk}/change/"
    assert "upload | Upload | de=Hochladen" in operators_client.get(change).content.decode()
    edited = facts | {"scope_lines": "upload | Upload\nread | Watch"}
    assert operators_client.post(change, edited).status_code == 302
    assert service.scopes.count() == 2
    gone = operators_client.post(
        f"/operators/apitokens/service/{service.pk}/delete/", {"post": "yes"}
    )
    assert gone.status_code == 302
    assert not Service.objects.filter(code="video").exists()

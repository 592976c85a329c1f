"""Profile → Account → Single sign-on: what the pages show, to whom, and what they change."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from sso.models import Certificate, Connection, Domain, Subject
from sso.saml.metadata import MAX_BYTES
from tests.conftest import SignIn
from tests.factories import (
    ACCOUNT_ID,
    PASSWORD,
    CertificateFactory,
    ConnectionFactory,
    DomainFactory,
    SubjectFactory,
)
from tests.questions import hidden_fields
from tests.sso.metadata_documents import ENTITY_ID, key, metadata, sign_metadata
from tests.sso.saml.test_metadata_fetch import says, server

pytestmark = pytest.mark.django_db

URL = f"/accounts/{ACCOUNT_ID}/single-sign-on/"
PROVIDER = f"{URL}provider/"
SETTINGS = f"{URL}settings/"
DAY = timedelta(days=1)
QUERIES = 14
SETTINGS_SENT = {
    "name": "Company directory",
    "email_attribute": "mail",
    "name_attribute": "displayName",
    "role_attribute": "groups",
    "takes_new_people": "on",
    "default_role": str(Role.ENGINEERS.value),
}


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in_now: SignIn) -> Client:
    """The browser of an Administrator who has just given their password."""
    sign_in_now(client, administrator)
    return client


@pytest.fixture
def connection(administrator: Membership) -> Connection:
    """A tested provider that is switched on."""
    made = ConnectionFactory.create(account=administrator.account, name="Company directory")
    CertificateFactory.create(connection=made)
    return made


@pytest.fixture
def begun(administrator: Membership) -> Connection:
    """A connection without a provider yet."""
    return ConnectionFactory.create(
        account=administrator.account, entity_id="", sso_url="", tested_at=None, is_on=False
    )


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def page_of(name: str) -> str:
    return reverse(f"sso:{name}", args=[ACCOUNT_ID])


def reread(connection: Connection) -> Connection:
    return Connection.objects.get(pk=connection.pk)


# --- Permissions ---

POSTS = ("set_up", "ask_for_domain", "switch_on", "switch_off", "force", "stop_forcing")
PAGES = ("connection", "provider", "settings", "remove")


@pytest.mark.parametrize("name", PAGES)
def test_page_is_for_administrators(
    client: Client, connection: Connection, engineer: Membership, sign_in_now: SignIn, name: str
) -> None:
    sign_in_now(client, engineer)
    answer = client.get(page_of(name))
    assert answer.status_code == 403
    assert connection.entity_id not in answer.content.decode()


@pytest.mark.parametrize("name", [*POSTS, "remove", "provider", "settings"])
def test_nothing_is_changed_by_others(
    client: Client, connection: Connection, engineer: Membership, sign_in_now: SignIn, name: str
) -> None:
    sign_in_now(client, engineer)
    assert client.post(page_of(name)).status_code == 403
    assert reread(connection).is_on


def test_page_is_read_without_the_password(
    client: Client, connection: Connection, administrator: Membership, sign_in: SignIn
) -> None:
    sign_in(client, administrator)
    assert client.get(URL).status_code == 200


@pytest.mark.parametrize("name", ["provider", "settings", "remove"])
def test_page_that_changes_something_asks_for_the_password_once_more(
    client: Client, connection: Connection, administrator: Membership, sign_in: SignIn, name: str
) -> None:
    sign_in(client, administrator)
    address = page_of(name)
    asked = unquote(client.get(address).headers["Location"])
    assert asked == f"/sign-in/again/?next={address}"


@pytest.mark.parametrize("name", POSTS)
def test_change_asks_for_the_password_once_more(
    client: Client, connection: Connection, administrator: Membership, sign_in: SignIn, name: str
) -> None:
    sign_in(client, administrator)
    before = AuditEvent.objects.filter(kind__startswith="sso.").count()
    answer = client.post(page_of(name), {"name": "example.com"})
    assert answer.headers["Location"].startswith("/sign-in/again/")
    assert AuditEvent.objects.filter(kind__startswith="sso.").count() == before


def test_strangers_are_asked_to_sign_in(client: Client) -> None:
    assert client.get(URL).headers["Location"].startswith("/sign-in/?next=")


def test_page_shows_nothing_of_other_accounts(browser: Client, stranger: Membership) -> None:
    other = ConnectionFactory.create(account=stranger.account, name="Globex directory")
    DomainFactory.create(connection=other, name="globex.example")
    page = text(browser.get(URL))
    assert "Globex directory" not in page
    assert "globex.example" not in page


@pytest.mark.parametrize("name", ["provider", "settings", "remove"])
def test_without_a_connection_there_is_nothing_to_change(browser: Client, name: str) -> None:
    assert browser.get(page_of(name)).status_code == 404
    assert browser.post(page_of(name)).status_code == 404


def test_account_page_leads_there(browser: Client) -> None:
    assert URL in browser.get(f"/accounts/{ACCOUNT_ID}/").content.decode()


def test_account_page_leads_others_nowhere(
    client: Client, engineer: Membership, sign_in: SignIn
) -> None:
    sign_in(client, engineer)
    assert URL not in client.get(f"/accounts/{ACCOUNT_ID}/").content.decode()


# --- Creation ---


def test_beginning_shows_the_addresses_for_the_provider(
    browser: Client, administrator: Membership, settings: Settings
) -> None:
    settings.BASE_URL = "https://tokens.example.net"
    assert "Set up single sign-on" in text(browser.get(URL))

    page = text(browser.post(f"{URL}set-up/", follow=True))

    slug = Connection.objects.get(account=administrator.account).slug
    for name in ("metadata", "acs", "sls", "begin"):
        address = "https://tokens.example.net" + reverse(f"sso:{name}", args=[slug])
        assert address in page


def test_addresses_never_come_from_the_request(
    browser: Client, begun: Connection, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.BASE_URL = "https://tokens.example.net"
    browser.cookies.clear()
    page = browser.get(URL, headers={"Host": "evil.example"}, follow=True)
    assert "https://evil.example/" not in page.content.decode()


# --- The provider ---


def test_metadata_can_be_pasted(browser: Client, begun: Connection) -> None:
    page = text(browser.post(PROVIDER, {"text": metadata()}, follow=True))

    assert reread(begun).entity_id == ENTITY_ID
    assert ENTITY_ID in page
    digits = Certificate.objects.get().fingerprint.upper()
    assert f"{digits[:2]}:{digits[2:4]}:{digits[4:6]}:" in page
    assert "Valid until" in page


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_metadata_can_be_a_file(browser: Client, begun: Connection, encoding: str) -> None:
    raw = metadata(before=f'<?xml version="1.0" encoding="{encoding}"?>').encode(encoding)
    browser.post(PROVIDER, {"file": SimpleUploadedFile("idp.xml", raw)})
    assert reread(begun).entity_id == ENTITY_ID


def test_metadata_can_be_fetched_where_the_operator_allows(
    browser: Client, begun: Connection, settings: Settings
) -> None:
    with server(says(metadata().encode())) as (origin, _asked):
        settings.SSO_METADATA_ORIGINS = [origin]
        assert origin in text(browser.get(PROVIDER))
        browser.post(PROVIDER, {"url": f"{origin}/metadata"})
    assert reread(begun).entity_id == ENTITY_ID


def test_no_address_is_asked_for_or_taken_otherwise(browser: Client, begun: Connection) -> None:
    with server(says(metadata().encode())) as (origin, asked):
        assert 'name="url"' not in browser.get(PROVIDER).content.decode()
        assert browser.post(PROVIDER, {"url": f"{origin}/metadata"}).status_code == 400
        assert asked == []


BAD = {
    "nothing": "",
    "no xml": "hello",
    "html": "<html></html>",
    "no certificate": metadata(keys=""),
    "own": metadata(entity_id="http://localhost:8000/sso/0123/metadata/"),
    "script": metadata(more="<script>alert(1)</script>"),
    "script as address": metadata(sign_in="javascript:alert(1)"),
    "doctype": metadata(before="<!DOCTYPE x>"),
    "large": "<" * (MAX_BYTES + 1),
    "two providers": f"<a>{metadata()}{metadata()}</a>",
}


@pytest.mark.parametrize("way", ["text", "file"])
@pytest.mark.parametrize("what", BAD)
def test_bad_metadata_change_nothing_and_say_why(
    browser: Client, connection: Connection, what: str, way: str
) -> None:
    document: Any = BAD[what]
    if way == "file":
        document = SimpleUploadedFile("idp.xml", document.encode())
    answer = browser.post(PROVIDER, {way: document})

    assert answer.status_code == 400
    assert "Fix one problem to continue" in text(answer)
    assert "<script>alert(1)" not in answer.content.decode()
    after = reread(connection)
    assert (after.entity_id, after.is_on) == (connection.entity_id, True)


def test_wrongly_signed_metadata_are_refused(browser: Client, begun: Connection) -> None:
    changed = sign_metadata(metadata()).replace(ENTITY_ID, "https://evil.example.com")
    answer = browser.post(PROVIDER, {"text": changed})
    assert answer.status_code == 400
    assert "The metadata's signature is invalid" in text(answer)
    assert not reread(begun).has_provider


def test_two_documents_at_once_are_refused(browser: Client, begun: Connection) -> None:
    file = SimpleUploadedFile("idp.xml", metadata().encode())
    answer = browser.post(PROVIDER, {"text": metadata(), "file": file})
    assert answer.status_code == 400
    assert not reread(begun).has_provider


def test_what_was_pasted_is_still_there_after_a_refusal(browser: Client, begun: Connection) -> None:
    assert "needs-a-look" in text(browser.post(PROVIDER, {"text": "needs-a-look"}))


def test_change_of_provider_warns_that_it_switched_off(
    browser: Client, connection: Connection
) -> None:
    page = text(browser.post(PROVIDER, {"text": metadata()}, follow=True))
    assert "Single sign-on is off until you test it again" in page
    assert not reread(connection).is_on


def test_present_certificates_are_kept_by_a_tick(browser: Client, connection: Connection) -> None:
    Connection.objects.update(entity_id=ENTITY_ID)
    browser.post(PROVIDER, {"text": metadata(), "keep_certificates": "on"})
    assert connection.certificates.count() == 2


def test_present_certificates_are_replaced_without_it(
    browser: Client, connection: Connection
) -> None:
    Connection.objects.update(entity_id=ENTITY_ID)
    browser.post(PROVIDER, {"text": metadata()})
    assert [each.pem for each in connection.certificates.all()] == [key().certificate]


@pytest.mark.parametrize(
    ("days", "word"),
    [(-1, "Expired"), (20, "Expires soon"), (60, None)],
    ids=["ended", "soon", "far"],
)
def test_end_of_a_certificate_is_marked(
    browser: Client, connection: Connection, days: int, word: str | None, now: datetime
) -> None:
    Certificate.objects.update(not_after=now + days * DAY)
    page = text(browser.get(URL))
    assert [each for each in ("Expired", "Expires soon") if each in page] == [word] * bool(word)


def test_certificate_is_removed(browser: Client, connection: Connection) -> None:
    old = CertificateFactory.create(connection=connection)
    browser.post(f"{URL}certificates/{old.pk}/remove/")
    assert not Certificate.objects.filter(pk=old.pk).exists()


def test_last_certificate_stays_with_a_sentence(browser: Client, connection: Connection) -> None:
    last = connection.certificates.get()
    page = text(browser.post(f"{URL}certificates/{last.pk}/remove/", follow=True))
    assert "No one could sign in without this certificate" in page
    assert Certificate.objects.filter(pk=last.pk).exists()


@pytest.mark.parametrize("kind", ["certificates/{}/remove/", "domains/{}/withdraw/"])
def test_things_of_other_accounts_are_not_there(browser: Client, kind: str) -> None:
    other = ConnectionFactory.create()
    pk = (
        CertificateFactory.create(connection=other).pk
        if "certificates" in kind
        else DomainFactory.create(connection=other).pk
    )
    assert browser.post(URL + kind.format(pk)).status_code == 404
    assert browser.post(URL + kind.format(10**30)).status_code == 404
    assert Certificate.objects.count() + Domain.objects.count() == 1


# --- The settings ---


def test_settings_are_saved(browser: Client, connection: Connection) -> None:
    page = text(browser.post(SETTINGS, SETTINGS_SENT, follow=True))

    after = reread(connection)
    assert (after.email_attribute, after.role_attribute) == ("mail", "groups")
    assert after.takes_new_people
    assert after.given_role is Role.ENGINEERS
    assert not after.may_make_administrators
    assert "Join as Engineers" in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 151},
        {"default_role": "77"},
        {"default_role": "one"},
        {"default_role": str(Role.ADMINISTRATORS.value)},
        {"email_attribute": "x" * 256},
    ],
)
def test_wrong_settings_change_nothing(
    browser: Client, connection: Connection, wrong: dict[str, str]
) -> None:
    answer = browser.post(SETTINGS, SETTINGS_SENT | wrong)
    assert answer.status_code == 400
    assert "Fix one problem to continue" in text(answer)
    assert reread(connection).email_attribute == ""


def test_new_administrators_need_both_settings(browser: Client, connection: Connection) -> None:
    wish = {"default_role": str(Role.ADMINISTRATORS.value), "may_make_administrators": "on"}
    browser.post(SETTINGS, SETTINGS_SENT | wish)
    assert reread(connection).given_role is Role.ADMINISTRATORS


# --- Domains ---


def test_domain_waits_for_the_operator(browser: Client, connection: Connection) -> None:
    page = text(browser.post(f"{URL}domains/", {"name": "@Example.com"}, follow=True))
    assert "example.com was requested" in page
    assert "Waiting for the operator" in page
    assert not Domain.objects.get().is_approved


@pytest.mark.parametrize("name", ["", "no domain", "localhost", "x" * 300])
def test_invalid_domain_is_an_error_in_the_form(
    browser: Client, connection: Connection, name: str
) -> None:
    answer = browser.post(f"{URL}domains/", {"name": name})
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not Domain.objects.exists()


def test_domain_of_another_account_is_refused_without_its_name(
    browser: Client, connection: Connection
) -> None:
    DomainFactory.create(name="example.com", connection__account__name="Globex")
    answer = browser.post(f"{URL}domains/", {"name": "example.com"})
    assert answer.status_code == 400
    assert "is already in use on this portal" in text(answer)
    assert "Globex" not in text(answer)


def test_domain_is_withdrawn(
    browser: Client, connection: Connection, administrator: Membership
) -> None:
    domain = DomainFactory.create(connection=connection, asked_by=administrator)
    page = text(browser.post(f"{URL}domains/{domain.pk}/withdraw/", follow=True))
    assert f"{domain.name} was withdrawn" in page
    assert not Domain.objects.exists()


def test_domain_that_was_approved_meanwhile_is_not_withdrawn(
    browser: Client, connection: Connection, administrator: Membership
) -> None:
    domain = DomainFactory.create(connection=connection, asked_by=administrator, approved_at=None)
    address = f"{URL}domains/{domain.pk}/withdraw/"
    opened = hidden_fields(browser, URL, to=address)
    Domain.objects.update(approved_at=datetime.now(UTC))

    page = browser.post(address, opened, follow=True)

    assert "This was changed after you opened the page" in text(page)
    assert Domain.objects.exists()
    browser.post(address, hidden_fields(browser, URL, to=address))
    assert not Domain.objects.exists()


# --- The switches ---


def test_page_says_what_is_missing_before_it_can_be_switched_on(
    browser: Client, begun: Connection
) -> None:
    page = browser.get(URL)
    assert "Add your identity provider's metadata first" in text(page)
    assert f"{URL}on/" not in page.content.decode()
    answer = browser.post(f"{URL}on/", follow=True)
    assert "Add your identity provider's metadata first" in text(answer)
    assert not reread(begun).is_on


def test_tested_provider_is_switched_on_and_off(browser: Client, connection: Connection) -> None:
    browser.post(f"{URL}off/")
    assert not reread(connection).is_on
    browser.post(f"{URL}on/")
    assert reread(connection).is_on


def test_untested_provider_offers_the_test_and_no_switch(
    browser: Client, connection: Connection
) -> None:
    Connection.objects.update(is_on=False, tested_at=None)
    page = browser.get(URL).content.decode()
    assert page_of("test") in page
    assert f"{URL}on/" not in page


def test_forcing_needs_more_than_a_click(browser: Client, connection: Connection) -> None:
    assert f"{URL}force/" not in browser.get(URL).content.decode()
    page = text(browser.post(f"{URL}force/", follow=True))
    assert "Sign in through single sign-on yourself first" in page
    assert not reread(connection).is_forced


def test_forcing_is_switched_on_and_off(
    browser: Client, connection: Connection, administrator: Membership
) -> None:
    DomainFactory.create(connection=connection, asked_by=administrator)
    SubjectFactory.create(connection=connection, membership=administrator)
    assert f"{URL}force/" in browser.get(URL).content.decode()

    assert "On and required" in text(browser.post(f"{URL}force/", follow=True))
    assert reread(connection).is_forced

    browser.post(f"{URL}stop-forcing/")
    assert not reread(connection).is_forced


def test_connection_is_removed_after_a_question(browser: Client, connection: Connection) -> None:
    browser.post(f"{URL}off/")
    assert "Remove single sign-on" in text(browser.get(f"{URL}remove/"))
    assert Connection.objects.exists()

    page = text(browser.post(f"{URL}remove/", follow=True))
    assert "Single sign-on was removed" in page
    assert not Connection.objects.exists()


def test_connection_that_is_on_is_not_removed(browser: Client, connection: Connection) -> None:
    page = text(browser.post(f"{URL}remove/", follow=True))
    assert "Turn off single sign-on first" in page
    assert Connection.objects.exists()


def test_forms_come_back_only_with_what_browsers_send(
    connection: Connection, administrator: Membership, sign_in: SignIn
) -> None:
    careful = Client(enforce_csrf_checks=True)
    sign_in(careful, administrator)
    assert careful.post(f"{URL}off/").status_code == 403
    assert reread(connection).is_on


def test_page_costs_the_same_for_any_number_of_things(
    browser: Client,
    connection: Connection,
    administrator: Membership,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    browser.get(URL)
    with django_assert_num_queries(QUERIES):
        browser.get(URL)
    CertificateFactory.create_batch(3, connection=connection)
    DomainFactory.create_batch(5, connection=connection, asked_by=administrator)
    for _ in range(3):
        SubjectFactory.create(connection=connection)
    with django_assert_num_queries(QUERIES):
        browser.get(URL)
    assert Subject.objects.count() == 3


def test_long_names_are_no_trouble(browser: Client, connection: Connection) -> None:
    Connection.objects.update(
        name="W" * 150, entity_id=f"https://{'w' * 900}.example", tested_at=datetime.now(UTC)
    )
    assert "W" * 150 in text(browser.get(URL))


def test_huge_file_is_an_error_in_the_form(browser: Client, connection: Connection) -> None:
    huge = SimpleUploadedFile("federation.xml", b"<" * 10_000_000)
    answer = browser.post(PROVIDER, {"file": huge})
    assert answer.status_code == 413
    assert "use only your provider's part" in text(answer)
    assert reread(connection).is_on


def test_asking_again_for_the_password_keeps_what_was_pasted(
    client: Client, begun: Connection, administrator: Membership, sign_in: SignIn
) -> None:
    """Input survives a reauthentication that became necessary meanwhile."""
    sign_in(client, administrator)
    asked = client.post(PROVIDER, {"text": metadata()})
    client.post(asked.headers["Location"], {"password": PASSWORD})
    assert reread(begun).entity_id == ENTITY_ID


def shown_on(browser: Client, address: str) -> dict[str, str]:
    return {"shown": hidden_fields(browser, address)["shown"]}


def test_only_the_provider_that_was_shown_is_removed(
    browser: Client, administrator: Membership
) -> None:
    facts = {"account": administrator.account, "is_on": False}
    former = ConnectionFactory.create(**facts, name="Former provider")
    question = shown_on(browser, page_of("remove"))
    former.delete()
    ConnectionFactory.create(**facts, name="New provider")

    refused = browser.post(page_of("remove"), question, follow=True)

    assert "so nothing has been done" in text(refused)
    assert Connection.objects.filter(name="New provider").exists()
    browser.post(page_of("remove"), shown_on(browser, page_of("remove")))
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"entity_id": "https://new.example/metadata"},
        {"sso_url": "https://new.example/sso"},
        {"takes_new_people": True},
        {"may_make_administrators": True},
        {"default_role": Role.ENGINEERS},
        {"email_attribute": "anything"},
    ],
)
def test_only_the_provider_that_was_shown_is_turned_on(
    browser: Client, connection: Connection, change: dict[str, Any]
) -> None:
    Connection.objects.filter(pk=connection.pk).update(is_on=False)
    question = shown_on(browser, URL)
    Connection.objects.filter(pk=connection.pk).update(**change)

    refused = browser.post(page_of("switch_on"), question, follow=True)

    assert "so nothing has been done" in text(refused)
    assert not reread(connection).is_on
    browser.post(page_of("switch_on"), shown_on(browser, URL))
    assert reread(connection).is_on


def test_provider_with_another_certificate_than_shown_is_not_turned_on(
    browser: Client, connection: Connection
) -> None:
    Connection.objects.filter(pk=connection.pk).update(is_on=False)
    question = shown_on(browser, URL)
    CertificateFactory.create(connection=connection)

    browser.post(page_of("switch_on"), question)

    assert not reread(connection).is_on


def test_single_sign_on_is_required_for_the_domains_that_were_shown(
    browser: Client, administrator: Membership, connection: Connection
) -> None:
    DomainFactory.create(connection=connection, name="example.com", asked_by=administrator)
    SubjectFactory.create(connection=connection, membership=administrator)
    question = shown_on(browser, URL)
    DomainFactory.create(connection=connection, name="subsidiary.example", asked_by=administrator)

    refused = browser.post(page_of("force"), question, follow=True)

    assert "so nothing has been done" in text(refused)
    assert not reread(connection).is_forced
    browser.post(page_of("force"), shown_on(browser, URL))
    assert reread(connection).is_forced


def test_metadata_of_a_colleague_are_not_replaced_unseen(
    browser: Client, connection: Connection
) -> None:
    question = shown_on(browser, PROVIDER)
    Connection.objects.filter(pk=connection.pk).update(entity_id="https://new.example/metadata")

    refused = browser.post(PROVIDER, {**question, "text": metadata()})

    assert refused.status_code == 400
    assert "so nothing has been done" in text(refused)
    assert reread(connection).entity_id == "https://new.example/metadata"
    again = re.search(r'name="shown" value="([^"]*)"', refused.content.decode())
    assert again is not None
    browser.post(PROVIDER, {"shown": again[1], "text": metadata()})
    assert reread(connection).entity_id == ENTITY_ID

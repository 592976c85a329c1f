"""How the mails read: what is in them, what is left out, and what no name can do to them."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from django.db import DataError, transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.authorization.actor import Actor
from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens.expiry import scan as expiry
from apitokens.expiry.emails import MOST_LISTED
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from notifications.email import rendering
from notifications.email.rendering import RenderedEmail, one_line
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS, TOKEN_EXPIRING, Channel
from notifications.models import Mail
from notifications.preferences import services as preferences
from notifications.recipients import Person
from tests.conftest import SignIn, is_on_postgresql
from tests.factories import issue, service_account

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
EXECUTABLE = "invoice\u202efdp.exe"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def expiring(member: Membership, *, days: float = 3, **facts: Any) -> APIToken:
    """A token of the member that expires in so many days."""
    made = {"at": NOW - 30 * DAY, "expires_at": NOW + days * DAY, **facts}
    return issue(member, **made).token


def scanned(member: Membership) -> Mail:
    """The mail that a scan makes for the member."""
    expiry.scan(at=NOW)
    return Mail.objects.get(user=member.user, account=member.account, kind=TOKEN_EXPIRING.code)


def digest_for(member: Membership) -> RenderedEmail:
    rendered = rendering.render_mail(scanned(member), at=NOW)
    assert rendered is not None
    return rendered


def received(mail: Mail, rendered: RenderedEmail) -> EmailMessage:
    """The mail as a mail program reads it off the wire."""
    raw = rendering.build_message(mail, rendered).message().as_bytes()
    parsed = message_from_bytes(raw, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def rename(thing: APIToken | Account | User, name: str) -> None:
    """Give a name that no form would take, as if the row came from elsewhere."""
    try:
        with transaction.atomic():
            type(thing).objects.filter(pk=thing.pk).update(name=name)
    except (DataError, ValueError):
        assert is_on_postgresql()
        pytest.skip("PostgreSQL does not even keep such a name")


# --- What it says ------------------------------------------------------------------------------


def test_subject_of_one_token_says_how_soon_and_where(user: Membership) -> None:
    expiring(user, days=0.8)
    assert digest_for(user).subject == "1 API token of “Example Inc.” expires in 19 hours"


def test_subject_of_several_says_how_many_and_how_soon_the_first(user: Membership) -> None:
    for days in (6.5, 0.5, 3):
        expiring(user, days=days)
    wanted = "3 API tokens of “Example Inc.” are about to expire, the first in 12 hours"
    assert digest_for(user).subject == wanted


def test_subject_of_a_late_notice_says_the_time_that_really_remains(user: Membership) -> None:
    expiring(user, days=2.1)
    assert digest_for(user).subject == "1 API token of “Example Inc.” expires in 2 days"


@pytest.mark.parametrize(("days", "words"), [(7, "6 days"), (1, "23 hours"), (6.9, "6 days")])
def test_mail_rounds_down_as_the_pages_do(user: Membership, days: float, words: str) -> None:
    expiring(user, days=days - 1 / 86_400)
    assert digest_for(user).subject.endswith(f" expires in {words}")


def test_it_is_dated_when_it_goes_not_when_it_was_decided(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    with time_machine.travel(NOW + 2 * DAY, tick=False):
        rendered = rendering.render_mail(mail, at=NOW + 2 * DAY)
        assert rendered is not None
        assert received(mail, rendered)["Date"] == "Wed, 25 Nov 2026 12:00:00 -0000"


def test_it_greets_the_reader_by_name(user: Membership) -> None:
    expiring(user)
    rendered = digest_for(user)
    assert rendered.text.startswith(f"Hello {user.user.name},")
    assert f"<bdi>{user.user.name}</bdi>" in rendered.html


def test_tokens_are_told_in_sections_the_most_urgent_first(user: Membership) -> None:
    expiring(user, days=5, name="Later")
    expiring(user, days=0.9, name="Soon")
    expiring(user, days=0.2, name="Sooner")
    for part in digest_for(user)[1:3]:
        part = re.sub(r"\s+", " ", part)
        in_order = ["xpires within 1 day", "Sooner", "Soon ", "xpires within 7 days", "Later"]
        found = [part.lower().find(words.lower().strip()) for words in in_order]
        assert -1 not in found
        assert found == sorted(found)


def test_no_section_is_empty(user: Membership) -> None:
    expiring(user, days=5)
    assert "within 1 day" not in digest_for(user).text.lower()


def test_a_token_is_told_with_name_id_issuer_role_and_last_usage(user: Membership) -> None:
    token = expiring(user, name="Spreadsheet import")
    used = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    APIToken.objects.filter(pk=token.pk).update(last_used_at=used)
    for part in digest_for(user)[1:3]:
        for fact in ("Spreadsheet import", str(token.pk), user.user.name, "Users", "20 Nov 2026"):
            assert fact in part


def test_a_token_that_was_never_used_says_so(user: Membership) -> None:
    expiring(user)
    rendered = digest_for(user)
    assert "Last usage: Not used yet" in rendered.text
    assert "Not used yet" in rendered.html


def test_an_issuer_who_has_left_is_told_as_such(
    administrator: Membership, user: Membership
) -> None:
    expiring(user)
    mail = scanned(administrator)
    Membership.objects.filter(pk=user.pk).update(removed_at=NOW)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    assert f"{user.user.name} (The user has been deleted)" in rendered.text


@pytest.mark.parametrize(
    ("zone", "expires_at", "local", "exact"),
    [
        ("Europe/Berlin", "2026-11-24T23:59:59+01:00", "24 Nov 2026, 23:59", "2026-11-24 22:59:59"),
        ("America/Los_Angeles", "2026-11-25T02:00:00+00:00", "24 Nov 2026, 18:00", "2026-11-25"),
        ("Asia/Kathmandu", "2026-11-24T12:00:00+00:00", "24 Nov 2026, 17:45", "2026-11-24 12:00"),
        ("UTC", "2026-11-24T12:00:00+00:00", "24 Nov 2026, 12:00 UTC", "2026-11-24 12:00:00 UTC"),
    ],
)
def test_expiration_is_told_in_the_readers_time_zone_with_utc_beside_it(
    user: Membership, zone: str, expires_at: str, local: str, exact: str
) -> None:
    user.user.time_zone = zone
    user.user.save()
    expiring(user, expires_at=datetime.fromisoformat(expires_at))
    rendered = digest_for(user)
    for part in (rendered.text, rendered.html):
        assert local in part
        assert exact in part
        assert zone in part


@pytest.mark.parametrize(
    ("expires_at", "local"),
    [
        # Clocks in Berlin go back on 25 October 2026: 02:30 comes twice, an hour apart.
        ("2026-10-25T00:30:00+00:00", "25 Oct 2026, 02:30 Europe/Berlin (2026-10-25 00:30:00 UTC)"),
        ("2026-10-25T01:30:00+00:00", "25 Oct 2026, 02:30 Europe/Berlin (2026-10-25 01:30:00 UTC)"),
        # and forward on 28 March 2027: there is no 02:30.
        ("2027-03-28T00:59:59+00:00", "28 Mar 2027, 01:59 Europe/Berlin (2027-03-28 00:59:59 UTC)"),
        ("2027-03-28T01:00:00+00:00", "28 Mar 2027, 03:00 Europe/Berlin (2027-03-28 01:00:00 UTC)"),
    ],
)
def test_expiration_is_exact_when_the_clocks_change(
    user: Membership, expires_at: str, local: str
) -> None:
    user.user.time_zone = "Europe/Berlin"
    user.user.save()
    end = datetime.fromisoformat(expires_at)
    expiring(user, at=end - 60 * DAY, expires_at=end)
    at = end - timedelta(hours=20)
    expiry.scan(at=at)
    rendered = rendering.render_mail(Mail.objects.get(user=user.user), at=at)
    assert rendered is not None
    assert f"Expiration: {local}" in rendered.text
    assert rendered.subject.endswith("expires in 20 hours")


def test_the_link_leads_to_these_tokens_in_their_account(
    user: Membership, settings: Settings
) -> None:
    settings.BASE_URL = "https://tokens.example"
    token = expiring(user)
    issue(user, at=NOW - DAY)
    rendered = digest_for(user)
    wanted = f"https://tokens.example/accounts/{user.account_id}/api-tokens/{token.pk}/"
    assert wanted in rendered.text
    assert f'href="{wanted}"' in rendered.html
    assert "Show this token" in rendered.text


def test_every_token_has_a_link_to_its_rotation(
    administrator: Membership, user: Membership, settings: Settings, client: Client, sign_in: SignIn
) -> None:
    settings.BASE_URL = "https://tokens.example"
    paths = [
        f"/accounts/{user.account_id}/api-tokens/{token.pk}/rotate/"
        for token in (expiring(user), expiring(administrator))
    ]
    rendered = digest_for(administrator)
    sign_in(client, administrator)
    for path in paths:
        assert f"Rotate: https://tokens.example{path}" in rendered.text
        assert f'href="https://tokens.example{path}"' in rendered.html
        assert b"Rotate API token" in client.get(path).content


def test_contact_of_a_service_account_gets_no_link_that_asks_for_a_sign_in(
    administrator: Membership,
) -> None:
    made = service_account(administrator.account, contact_email="ops@example.com", at=NOW - DAY)
    expiring(made.membership, by=Actor.member(administrator))
    rendered = digest_for(made.membership)
    assert "Expires in 3" in rendered.text
    assert "/rotate/" not in rendered.text + rendered.html


def test_a_long_digest_tells_the_first_and_counts_the_rest(
    administrator: Membership,
) -> None:
    Account.objects.filter(pk=administrator.account_id).update(token_limit=100)
    for number in range(MOST_LISTED + 3):
        expiring(administrator, name=f"Token no. {number:03}", days=2 + number / 50)
    rendered = digest_for(administrator)
    for part in (rendered.text, rendered.html):
        assert f"Token no. {MOST_LISTED - 1:03}" in part
        assert f"Token no. {MOST_LISTED:03}" not in part
        assert "and 3 more" in part
    assert rendered.subject.startswith(f"{MOST_LISTED + 3} API tokens")


@pytest.mark.parametrize("letter", ["Ж", "龍", "😀", "'"])
def test_the_longest_digest_stays_far_below_what_mail_programs_show(
    administrator: Membership, record_property: Callable[[str, object], None], letter: str
) -> None:
    """Gmail cuts off what is longer than 102,400 bytes. Letters of several bytes, or that HTML
    writes with six, names as long as they can be, everything said twice."""
    Account.objects.filter(pk=administrator.account_id).update(token_limit=100, name=letter * 100)
    person = administrator.user
    person.name, person.language, person.time_zone = (
        letter * 150,
        "ru",
        "America/Argentina/Buenos_Aires",
    )
    person.save()
    for number in range(MOST_LISTED + 3):
        expiring(administrator, name=letter * 250, days=2 + number / 50)
    APIToken.objects.update(last_used_at=NOW)
    size = len(digest_for(administrator).html.encode())
    record_property(f"bytes of the longest digest, all names of {letter}", size)
    assert size < 102_400 * 0.85


def test_html_is_not_indented_and_has_a_line_for_a_row(user: Membership) -> None:
    def lines_with(tokens: int) -> int:
        for _ in range(tokens):
            expiring(user)
        html = digest_for(user).html
        Mail.objects.all().delete()
        assert not re.search(r"\n\s", html)
        return html.count("\n")

    first = lines_with(1)
    assert lines_with(2) - first <= 2 * 8, "name, five facts, and the tables around them"


def test_each_reader_is_told_in_their_language_and_by_their_clock(
    administrator: Membership, user: Membership, engineer: Membership
) -> None:
    for member, language, zone in (
        (administrator, "de", "Europe/Berlin"),
        (user, "ru", "Asia/Baku"),
        (engineer, "de", "Asia/Baku"),
    ):
        User.objects.filter(pk=member.user_id).update(language=language, time_zone=zone)
        Membership.objects.filter(pk=member.pk).update(role=Role.ADMINISTRATORS)
    expiring(administrator, name="Backup", days=0.5)
    expiry.scan(at=NOW)
    rendered = [
        rendering.render_mail(Mail.objects.get(user=member.user), at=NOW)
        for member in (administrator, user, engineer)
    ]
    expected = [
        ("noch 12 Stunden", "01:00 Europe/Berlin"),
        ("12 часов", "04:00 Asia/Baku"),
        ("noch 12 Stunden", "04:00 Asia/Baku"),
    ]
    for mail, (left, end) in zip(rendered, expected, strict=True):
        assert mail is not None
        assert left in mail.subject
        assert end in mail.text
        assert end in mail.html


def test_it_says_why_it_came_and_how_to_stop_it(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    for part in (rendered.text, rendered.html):
        assert "You received this email because you issued this API token." in part
        assert "“API token is expiring” is turned on for" in part
        assert f"/accounts/{user.account_id}/notifications/settings/" in part
        assert "/notifications/unsubscribe/" in part


def test_administrators_are_told_why_they_get_everybodys(
    administrator: Membership, user: Membership
) -> None:
    expiring(user)
    assert "because you are an Administrator of the account" in digest_for(administrator).text


def test_html_part_needs_no_picture_no_script_and_no_other_server(
    user: Membership, settings: Settings
) -> None:
    expiring(user)
    html = digest_for(user).html
    assert not re.search(r"<(img|script|link|iframe|object|form|base)\b", html)
    assert not re.search(r"@import|url\(|\ssrc=", html)
    assert all(url.startswith(settings.BASE_URL) for url in re.findall(r'href="([^"]*)"', html))


def test_html_part_says_that_it_can_be_dark(user: Membership) -> None:
    expiring(user)
    html = digest_for(user).html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "prefers-color-scheme: dark" in html


@pytest.mark.parametrize("tokens", [1, 7])
def test_it_costs_the_same_queries_for_any_number_of_tokens(
    user: Membership, tokens: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(tokens):
        expiring(user)
    mail = Mail.objects.select_related("user", "account").get(pk=scanned(user).pk)
    with django_assert_num_queries(3):  # settings, membership, tokens of the ledger
        assert rendering.render_mail(mail, at=NOW)


# --- Who is told what --------------------------------------------------------------------------


def test_administrators_are_told_of_all_tokens_and_issuers_of_their_own(
    administrator: Membership, engineer: Membership, user: Membership
) -> None:
    expiring(user, name="Of the user")
    expiring(engineer, name="Of the engineer")
    to_all, to_one = digest_for(administrator).text, digest_for(user).text
    assert "Of the user" in to_all
    assert "Of the engineer" in to_all
    assert "Of the user" in to_one
    assert "Of the engineer" not in to_one


def test_who_is_no_administrator_any_more_is_told_of_own_tokens_only(
    administrator: Membership, user: Membership
) -> None:
    expiring(administrator, name="Own token")
    expiring(user, name="Of the user")
    mail = scanned(administrator)
    Membership.objects.filter(pk=administrator.pk).update(role=Role.USERS)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    assert "Own token" in rendered.text
    assert "Of the user" not in rendered.text
    assert rendered.subject.startswith("1 API token of")


def test_a_token_deleted_meanwhile_is_left_out(user: Membership) -> None:
    gone, stays = expiring(user, name="Gone", days=2), expiring(user, name="Stays", days=4)
    mail = scanned(user)
    token_services.delete(token=gone, by=Actor.member(user), at=NOW)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    assert rendered.subject == "1 API token of “Example Inc.” expires in 4 days"
    for part in (rendered.text, rendered.html):
        assert "Stays" in part
        assert "Gone" not in part
        assert f"/api-tokens/{stays.pk}/" in part
        assert str(gone.pk) not in part


def test_there_is_no_mail_when_all_tokens_are_gone(user: Membership) -> None:
    token = expiring(user)
    mail = scanned(user)
    token_services.delete(token=token, by=Actor.member(user), at=NOW)
    assert rendering.render_mail(mail, at=NOW) is None


def test_there_is_no_mail_about_what_has_expired_meanwhile(user: Membership) -> None:
    expiring(user, days=0.5)
    mail = scanned(user)
    assert rendering.render_mail(mail, at=NOW + DAY) is None


def test_a_reader_who_left_gets_no_mail(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    Membership.objects.filter(pk=user.pk).update(removed_at=NOW)
    assert rendering.render_mail(mail, at=NOW) is None


def test_a_reader_who_was_switched_off_gets_no_mail(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    user.user.is_active = False
    user.user.save()
    assert rendering.render_mail(mail, at=NOW) is None


def test_nobody_in_a_closed_account_gets_mail(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    Account.objects.filter(pk=user.account_id).update(closed_at=NOW)
    assert rendering.render_mail(mail, at=NOW) is None


def test_a_reader_who_turned_it_off_meanwhile_gets_no_mail(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    person = Person(user.user_id, user.account_id)
    preferences.turn_off(person, TOKEN_EXPIRING, Channel.EMAIL)
    assert rendering.render_mail(mail, at=NOW) is None


def test_turning_off_another_kind_or_channel_changes_nothing(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    person = Person(user.user_id, user.account_id)
    preferences.turn_off(person, TOKEN_EXPIRING, Channel.PORTAL)
    preferences.turn_off(person, TOKEN_CHANGED_BY_OTHERS, Channel.EMAIL)
    assert rendering.render_mail(mail, at=NOW) is not None


# --- The envelope ------------------------------------------------------------------------------


def test_mail_can_be_stopped_with_one_click(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    message = received(mail, rendered)
    assert re.fullmatch(
        r"<http://localhost:8000/notifications/unsubscribe/[\w:-]+/>", message["List-Unsubscribe"]
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"


def test_long_headers_stay_on_one_line(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    raw = rendering.build_message(mail, rendered).message().as_bytes().decode()
    assert f"\nList-Unsubscribe: <{rendered.unsubscribe_url}>\n" in raw


def test_headers_beyond_ascii_are_encoded(user: Membership) -> None:
    rename(user.account, "Übermäßig lang " * 4)
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    head = rendering.build_message(mail, rendered).message().as_bytes().split(b"\n\n")[0]
    assert head.isascii()
    assert received(mail, rendered)["Subject"] == rendered.subject


def test_no_two_mails_divide_their_parts_alike(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    one, other = (received(mail, rendered).get_boundary() for _time in range(2))
    assert one != other


def test_message_id_comes_from_the_row_so_that_a_repeat_can_be_recognised(
    user: Membership, settings: Settings
) -> None:
    settings.BASE_URL = "https://tokens.example:8443"
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    first, second = received(mail, rendered), received(mail, rendered)
    assert first["Message-ID"] == second["Message-ID"] == f"<{mail.pk.hex}@tokens.example>"


def test_it_goes_to_the_reader_alone_in_two_parts(user: Membership) -> None:
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    message = received(mail, rendered)
    assert message["To"] == user.user.email
    assert message["Cc"] is message["Bcc"] is None
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == rendered.text


# --- Names that try something ------------------------------------------------------------------

BREAKS = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x00", "\x1b[31m"]


@pytest.mark.parametrize("line_break", BREAKS, ids=repr)
def test_an_account_name_starts_no_other_header(user: Membership, line_break: str) -> None:
    name = f"Example{line_break}Bcc: everybody@example.com{line_break}{line_break}Injected body"
    rename(user.account, name)
    expiring(user)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    message = received(mail, rendered)
    assert message["Bcc"] is None
    assert message["To"] == user.user.email
    assert line_break not in rendered.subject
    assert message["Subject"] == rendered.subject


@pytest.mark.parametrize("line_break", BREAKS, ids=repr)
def test_a_token_name_stays_on_its_line(user: Membership, line_break: str) -> None:
    rename(expiring(user), f"Backup{line_break}* Forged token")
    lines = re.split("[\r\n\x0b\x0c\x85\u2028\u2029]", digest_for(user).text)
    own = [line for line in lines if "Forged token" in line]
    assert len(own) == 1
    assert own[0].startswith("* Backup")
    assert own[0].isprintable()


def test_a_name_of_ten_thousand_characters_is_cut(user: Membership) -> None:
    rename(expiring(user), "x" * 10_000)
    rename(user.account, "y" * 10_000)
    rename(user.user, "z" * 10_000)
    rendered = digest_for(user)
    assert len(rendered.subject) < 120
    for part in (rendered.text, rendered.html):
        assert "x" * 99 + "…" in part
        assert max(len(line.encode()) for line in part.splitlines()) < 998, "RFC 5322, 2.1.1"


def test_markup_in_names_stays_text(user: Membership) -> None:
    rename(expiring(user), "<script>alert(1)</script> & <b>bold</b>")
    rename(user.account, '<a href="//x.example">Click</a>')
    rendered = digest_for(user)
    assert "<script" not in rendered.html
    assert "//x.example" not in re.findall(r'href="([^"]*)"', rendered.html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt;" in rendered.html
    assert "* <script>alert(1)</script> & <b>bold</b>" in rendered.text


def test_names_do_not_turn_the_direction_of_what_follows(user: Membership) -> None:
    rename(expiring(user), EXECUTABLE)
    rename(user.account, EXECUTABLE)
    for part in digest_for(user):
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", part)


@pytest.mark.parametrize("name", ["نسخة احتياطية", "缓存预热脚本", "👩‍👩‍👧 Family", "می‌خواهم"])
def test_names_in_other_scripts_arrive_as_they_are(user: Membership, name: str) -> None:
    expiring(user, name=name)
    mail = scanned(user)
    rendered = rendering.render_mail(mail, at=NOW)
    assert rendered is not None
    message = received(mail, rendered)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert f"* {name}" in text.get_content()
    assert f">{name}</bdi>" in html.get_content()


def test_half_characters_do_not_stop_a_mail() -> None:
    assert one_line("Backup \ud83d of today") == "Backup of today"


# --- The other kinds ---------------------------------------------------------------------------


def changed(member: Membership, **facts: str) -> Mail:
    words = {"title": "Maria deleted it", "text": "Ask her.", "link": "/profile/", **facts}
    return Mail(
        user=member.user,
        account=member.account,
        kind=TOKEN_CHANGED_BY_OTHERS.code,
        facts=words,
        created_at=NOW,
    )


def test_plain_mail_has_title_text_time_and_link(user: Membership) -> None:
    user.user.time_zone = "Asia/Tokyo"
    rendered = rendering.render_plain(changed(user))
    assert rendered is not None
    assert rendered.subject == "Maria deleted it"
    for part in (rendered.text, rendered.html):
        for words in ("Maria deleted it", "Ask her.", "23 Nov 2026, 21:00 Asia/Tokyo"):
            assert words in part
        assert "http://localhost:8000/profile/" in part
        assert "“Your API token changed by someone else” is turned on" in part


def test_plain_mail_is_as_careful_with_names(user: Membership) -> None:
    title = f"Maria\r\nBcc: x@example.com deleted <b>{EXECUTABLE}</b>" + "x" * 10_000
    mail = changed(user, title=title, text="<i>one</i>\r\ntwo\x00")
    rendered = rendering.render_plain(mail)
    assert rendered is not None
    message = received(mail, rendered)
    assert message["Bcc"] is None
    assert len(rendered.subject) <= 255
    assert "\u202e" not in rendered.html + rendered.text + rendered.subject
    assert "<b>" not in rendered.html
    assert "<bdi>&lt;i&gt;one&lt;/i&gt;</bdi>" in rendered.html

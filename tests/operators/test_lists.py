"""What the operators' lists answer, and what they refuse to be asked."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.test import Client

from accounts.admin import long_lists
from accounts.admin.filters import LONGEST_SEARCH, ONLY_BEGINNINGS, ListAdmin
from accounts.models import AuditEvent, Membership, User
from apitokens.models import APIToken
from notifications import bounded_pages
from tests.conftest import Issue
from tests.factories import MembershipFactory, UserFactory
from tests.operators.conftest import page, shown

LISTS = [
    "accounts_account_changelist",
    "accounts_auditevent_changelist",
    "accounts_membership_changelist",
    "accounts_user_changelist",
    "apitokens_apitoken_changelist",
    "sso_connection_changelist",
    "sso_domain_changelist",
]
TOKENS = "apitokens_apitoken_changelist"
EVENTS = "accounts_auditevent_changelist"
NUMBER = "9" * 30


def queries_in(text: str) -> set[str]:
    """Where the links of a list lead that show the same list in another way."""
    return {unescape(query) for query in re.findall(r'href="(\?[^"]*)"', text)}


def lists_in(text: str) -> set[str]:
    """Where the links of a page lead that show a list narrowed."""
    return {unescape(address) for address in re.findall(r'href="(/operators/[^"]*\?[^"]+)"', text)}


def test_all_lists_are_guarded() -> None:
    assert all(isinstance(each, ListAdmin) for each in admin.site._registry.values())


@pytest.mark.parametrize("name", LISTS)
def test_every_filter_can_be_chosen_and_counted(
    browser: Client, engineer: Membership, issue: Issue, name: str
) -> None:
    issue(engineer)

    queries = queries_in(shown(browser, page(name), _facets="True"))

    assert len(queries) > 2
    for query in queries:
        assert browser.get(page(name) + query).status_code == 200, query


def test_links_between_pages_lead_to_narrowed_lists(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    token, _key = issue(engineer)
    pages = [
        page("apitokens_apitoken_change", token.pk),
        page("accounts_account_change", engineer.account_id),
        page("accounts_user_change", engineer.user_id),
    ]

    addresses = {address for each in pages for address in lists_in(shown(browser, each))}

    assert len(addresses) == 8
    for address in addresses:
        assert browser.get(address).status_code == 200, address


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("lookup", ["id__in", "pk", "name", "name__regex", "nonsense"])
def test_nothing_but_the_filters_can_be_asked(browser: Client, name: str, lookup: str) -> None:
    for value in (NUMBER, "(", "\0", "x"):
        assert browser.get(page(name), {lookup: value}).status_code == 400


@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("accounts_user_changelist", "password__startswith"),
        ("accounts_user_changelist", "email__exact"),
        ("accounts_membership_changelist", "user__password__startswith"),
        (EVENTS, "user__password__startswith"),
        (EVENTS, "at__year"),
        (EVENTS, "through"),
        (EVENTS, "address"),
        (EVENTS, "details__name"),
        (TOKENS, "digest__startswith"),
        (TOKENS, "pepper__gt"),
        (TOKENS, "form_key"),
        (TOKENS, "issuer__user__password__startswith"),
    ],
)
def test_nobody_feels_their_way_to_a_secret(browser: Client, name: str, lookup: str) -> None:
    for value in ("1", "-1", "\0"):
        assert browser.get(page(name), {lookup: value}).status_code == 400


@pytest.mark.both
@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("accounts_account_changelist", "state"),
        ("accounts_user_changelist", "is_active__exact"),
        ("accounts_membership_changelist", "state"),
        ("accounts_membership_changelist", "role__exact"),
        ("accounts_membership_changelist", "user__id__exact"),
        (EVENTS, "kind"),
        (EVENTS, "account"),
        (EVENTS, "subject_type"),
        (EVENTS, "subject_id"),
        (EVENTS, "through_token"),
        (EVENTS, "user__id__exact"),
        (TOKENS, "status"),
        (TOKENS, "role__exact"),
        (TOKENS, "account"),
    ],
)
def test_value_that_makes_no_sense_is_no_fault(
    browser: Client, engineer: Membership, issue: Issue, name: str, lookup: str
) -> None:
    issue(engineer)

    for value in ("", "x", "\0", "(", "-1", "40000", str(2**63 - 1), NUMBER, "9" * 5000, "٣"):
        answer = browser.get(page(name), {lookup: value, "_facets": "True"})
        assert answer.status_code in (200, 302, 400), value


@pytest.mark.both
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("part", ["q", "o", "p", "all", "_popup", "_to_field", "_facets"])
def test_list_that_is_turned_in_a_senseless_way_is_no_fault(
    browser: Client, name: str, part: str
) -> None:
    for value in ("", "x", "\0", "(", "-1", NUMBER, "9" * 5000):
        assert browser.get(page(name), {part: value}).status_code in (200, 302, 400)


@pytest.mark.parametrize("name", LISTS)
def test_pages_bring_the_scripts_of_popups_only_to_fields_that_have_one(
    browser: Client, name: str
) -> None:
    add = browser.get(page(name.replace("changelist", "add")))
    if add.status_code == 403:
        return
    text = add.content.decode()
    has_popup = "related-lookup" in text or "related-widget-wrapper-link" in text
    assert ("RelatedObjectLookups" in text) is ("jquery" in text) is has_popup


@pytest.mark.parametrize(
    "at",
    [
        *("", "x", "\0", "-1", NUMBER, "2026-02-31", "2026-13-01 00:00:00+00:00"),
        *("0001-01-01 00:00:00+14:00", "9999-12-31 23:59:59-14:00"),
    ],
)
def test_time_that_is_none_is_refused(browser: Client, at: str) -> None:
    assert browser.get(page(EVENTS), {"at__gte": at}).status_code == 400
    assert browser.get(page(EVENTS), {"at__lt": at}).status_code == 400


@pytest.mark.parametrize("name", LISTS)
def test_search_for_too_much_is_refused_in_a_sentence(browser: Client, name: str) -> None:
    most = "a " * (LONGEST_SEARCH // 2)

    assert "Ensure this value" not in shown(browser, page(name), q=most)
    for words in ("a " * 2000, "x" * 60_000):
        assert f"at most {LONGEST_SEARCH} characters" in shown(browser, page(name), q=words)


@pytest.mark.both
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("tail", ["change/", "delete/", "history/", ""])
def test_row_that_cannot_be_is_no_fault(browser: Client, name: str, tail: str) -> None:
    for row in ("0", "-1", "x", "%00", "_00", NUMBER, "9" * 5000):
        assert browser.get(f"{page(name)}{row}/{tail}").status_code in (302, 403, 404)


@pytest.mark.parametrize("chosen", ["", "x", "-1", "\0", "1_2", NUMBER, str(2**63)])
def test_nothing_is_deleted_when_a_selected_row_cannot_be(
    browser: Client, engineer: Membership, issue: Issue, chosen: str
) -> None:
    token, _key = issue(engineer)
    rows = {"_selected_action": [str(token.pk), chosen]}

    for confirmed in ({"index": "0"}, {"post": "yes"}):
        form = {"action": "delete_selected", **rows, **confirmed}
        assert browser.post(page(TOKENS), form).status_code == 400

    assert not APIToken.objects.deleted().exists()


def test_selected_row_that_is_not_there_is_said(browser: Client, operator: User) -> None:
    form = {"action": "delete_selected", "_selected_action": str(2**63 - 1), "post": "yes"}

    assert "already been deleted" in browser.post(page(TOKENS), form, follow=True).content.decode()
    assert not AuditEvent.objects.filter(kind="token.deleted").exists()


@pytest.fixture
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that count no further than two rows."""
    for module in (bounded_pages, long_lists):
        monkeypatch.setattr(module, "MOST_COUNTED", 2)


@pytest.mark.both
@pytest.mark.parametrize(
    ("word", "is_found"), [("Zo", True), ("ZÓ", True), ("oë", False), ("oë ", True), ("%", False)]
)
def test_a_short_word_is_looked_for_at_the_beginning(
    browser: Client, engineer: Membership, issue: Issue, word: str, is_found: bool
) -> None:
    """(With a blank in quotes it is no short word any more.)"""
    UserFactory.create(email="somebody@example.com", name="Zoë Okafor")
    issue(engineer, name="Zoë deploys")

    text = f'"{word}"' if word.endswith(" ") else word
    people = shown(browser, page("accounts_user_changelist"), q=text)
    tokens = shown(browser, page(TOKENS), q=text)

    assert ("Zoë Okafor" in people, "Zoë deploys" in tokens) == (is_found, is_found)
    assert (str(ONLY_BEGINNINGS) in people) == (not word.endswith(" "))


def test_rows_are_found_by_a_word_of_three_letters_wherever_it_stands(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    issue(engineer, name="Nightly deploys")

    assert "Nightly deploys" in shown(browser, page(TOKENS), q="ploy")


def test_short_words_beside_a_longer_one_are_looked_for_wherever_they_stand(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    issue(engineer, name="Prefetch of campaign pages")
    found = shown(browser, page(TOKENS), q="Prefetch of campaign")

    assert "Prefetch of campaign pages" in found
    assert str(ONLY_BEGINNINGS) not in found
    assert "Prefetch of campaign pages" not in shown(browser, page(TOKENS), q="Prefetch zz")


def test_a_long_list_is_sorted_only_by_what_an_index_has_in_order(
    browser: Client, engineer: Membership, issue: Issue, short_lists: None
) -> None:
    for days, name in enumerate(("Bravo", "Alpha", "Delta")):
        token, _key = issue(engineer, name=name)
        APIToken.objects.filter(pk=token.pk).update(created_at=token.created_at + timedelta(days))

    by_name, oldest_first = (shown(browser, page(TOKENS), o=order) for order in ("2", "7"))

    assert re.findall("Alpha|Bravo|Delta", by_name)[0] == "Delta"
    assert "be sorted by this column" in by_name
    assert re.findall("Alpha|Bravo|Delta", oldest_first)[0] == "Bravo"
    assert "be sorted by this column" not in oldest_first


def test_a_long_list_that_is_narrowed_is_sorted_by_any_column(
    browser: Client, engineer: Membership, issue: Issue, short_lists: None
) -> None:
    for name in ("Bravo", "Alpha", "Delta"):
        issue(engineer, name=name)

    names = shown(browser, page(TOKENS), o="2", q="a", status="active")
    narrowed = shown(browser, page(TOKENS), o="-2", q="alp")

    assert "Alpha" in names
    assert "be sorted by this column" not in narrowed


def test_members_of_a_large_portal_are_shown_newest_first(
    browser: Client, engineer: Membership, short_lists: None
) -> None:
    for email in ("zoe@example.com", "abe@example.com", "mia@example.com"):
        MembershipFactory.create(user__email=email, account=engineer.account)

    text = shown(browser, page("accounts_membership_changelist"))

    assert re.findall("(zoe|abe|mia)@example", text)[0] == "mia"

"""People are chosen by a part of their name or address, with scripts and without."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Membership
from accounts.people.search import MOST_FOUND
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

FIND = reverse("accounts:find_people", kwargs={"account_id": ACCOUNT_ID})
TOKENS = reverse("apitokens:list", kwargs={"account_id": ACCOUNT_ID})
LOG = reverse("accounts:audit_log", kwargs={"account_id": ACCOUNT_ID})


@pytest.fixture
def maria(administrator: Membership) -> Membership:
    return MembershipFactory.create(
        account=administrator.account, user__name="Maria Okafor", user__email="maria@example.com"
    )


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


def suggested(browser: Client, text: str, **among: str) -> list[str]:
    people = browser.get(FIND, {"q": text, **among}).json()["people"]
    assert all(each.keys() == {"id", "label", "role"} for each in people)
    return [each["label"] for each in people]


@pytest.mark.parametrize("text", ["okaf", "MARIA@", "maria@example.com", "a (maria@example.com)"])
def test_person_is_suggested_by_name_or_address(
    browser: Client, maria: Membership, text: str
) -> None:
    assert suggested(browser, text) == ["Maria Okafor (maria@example.com)"]


def test_suggestions_are_bounded(browser: Client, administrator: Membership) -> None:
    for number in range(MOST_FOUND + 2):
        MembershipFactory.create(account=administrator.account, user__name=f"Double {number}")

    assert len(suggested(browser, "double")) == MOST_FOUND


@pytest.mark.parametrize("text", ["", "%", "_", "\0", "x" * 10_000, "nobody@example.com"])
def test_strange_searches_find_nobody_who_does_not_match(
    browser: Client, maria: Membership, text: str
) -> None:
    assert all(text.replace("\0", "") in each for each in suggested(browser, text))


def test_others_find_only_themselves_and_nobody_elsewhere(
    client: Client, user: Membership, maria: Membership, stranger: Membership, sign_in: SignIn
) -> None:
    sign_in(client, user)

    assert suggested(client, "@example.com") == [f"{user.user.name} ({user.user.email})"]
    assert client.get(FIND.replace(str(ACCOUNT_ID), str(stranger.account_id))).status_code == 404


@pytest.mark.parametrize("text", ["{id}", "maria@example.com", "okafor", "M (maria@example.com)"])
def test_both_filters_take_what_a_person_types_and_what_links_say(
    browser: Client, maria: Membership, issue: Issue, text: str
) -> None:
    issue(maria, name="Deploys")
    text = text.format(id=maria.user_id)

    tokens = browser.get(TOKENS, {"issued_by": text})
    log = browser.get(LOG, {"person": text})

    assert [row.token.name for row in tokens.context["rows"]] == ["Deploys"]
    assert {row.event.user for row in log.context["rows"]} == {maria.user}
    for field in (tokens.context["filterset"].form["issued_by"], log.context["form"]["person"]):
        assert 'value="Maria Okafor (maria@example.com)"' in str(field)


@pytest.mark.both
@pytest.mark.parametrize(
    ("email", "name", "typed"),
    [
        *(("12345678@qq.com", "Li Wei", "12345678"), ("u@example.com", "Robot 2024", "2024")),
        *(("d@example.com", "D\u2019Arcy", "d'arcy"), ("d@example.com", "D'Arcy", "d\u2019arcy")),
        *(("j@example.com", "Jean\u2011Luc", "jean-luc"), ("t@example.com", "A  Two", "a two")),
        *(("z@example.com", "Zoe", "zoe\u200b"), ("m@example.com", "Max", "\ufeffm@example.com")),
        *(("l@example.com", "Łukasz", "lukasz"), ("s@example.com", "Søren", "soren")),
        *(("n@example.com", "Nərgiz", "nergiz"), ("a@example.com", "Æsa", "aesa")),
    ],
)
def test_person_is_found_by_what_a_keyboard_has(
    browser: Client, administrator: Membership, email: str, name: str, typed: str
) -> None:
    MembershipFactory.create(account=administrator.account, user__email=email, user__name=name)
    assert suggested(browser, typed) == [f"{name} ({email})"]
    assert browser.get(LOG, {"person": typed}).context["form"].is_valid()


@pytest.mark.parametrize("email", ["maria@example.com", '"a(b"@example.com', '"a<)b"@example.com'])
@pytest.mark.parametrize("name", ["Maria", "Maria (b.c)", "Maria (x@example.com)", ""])
def test_suggestion_leads_back_to_the_person(
    browser: Client, administrator: Membership, email: str, name: str
) -> None:
    people = {"account": administrator.account}
    MembershipFactory.create(**people, user__email="x@example.com", user__name="Maria")
    person = MembershipFactory.create(**people, user__email=email, user__name=name)
    (label,) = [each for each in suggested(browser, email) if email in each]
    form = browser.get(LOG, {"person": label}).context["form"]
    assert form.is_valid()
    assert form.cleaned_data["person"] == person


def test_person_found_in_one_account_is_not_found_in_another(
    browser: Client, maria: Membership, stranger: Membership, sign_in: SignIn
) -> None:
    assert browser.get(LOG, {"person": "okafor"}).context["form"].is_valid()
    other = Client()
    sign_in(other, stranger)
    answer = other.get(LOG.replace(str(ACCOUNT_ID), str(stranger.account_id)), {"person": "okafor"})
    assert not answer.context["form"].is_valid()
    assert "maria@" not in answer.text


def test_several_matches_are_named_and_none_is_taken(
    browser: Client, maria: Membership, issue: Issue
) -> None:
    other = MembershipFactory.create(account=maria.account, user__name="Maria Lopez")
    issue(maria)
    issue(other)

    answer = browser.get(TOKENS, {"issued_by": "maria"})

    assert answer.status_code == 400
    (error,) = answer.context["filterset"].form.errors["issued_by"]
    assert "Maria Lopez" in error
    assert "Maria Okafor (maria@example.com)" in error


@pytest.mark.parametrize("text", ["zzz", "77", "9" * 30, "%", "x" * 10_000])
def test_nobody_is_told_in_a_sentence(
    browser: Client, maria: Membership, issue: Issue, text: str
) -> None:
    issue(maria)
    assert browser.get(TOKENS, {"issued_by": text}).status_code == 400
    assert browser.get(LOG, {"person": text}).status_code == 400


def test_page_lists_nobody(browser: Client, maria: Membership, issue: Issue) -> None:
    issue(maria)
    MembershipFactory.create(account=maria.account, user__name="Never Listed")

    pages: list[Any] = [browser.get(TOKENS), browser.get(LOG)]

    assert all("Never Listed" not in each.text for each in pages)

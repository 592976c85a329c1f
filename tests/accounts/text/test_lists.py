"""Lists are searched and sorted as people expect, on both databases."""

import re
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.all_users.listing import listing as all_users
from accounts.audit.listing import AuditFilter
from accounts.authorization.actor import Actor
from accounts.models import Account, Membership, User
from accounts.people.forms import PersonField
from accounts.people.search import meant_by
from accounts.text.expressions import SortKey, in_order
from apitokens.filters import issuers_visible_to
from apitokens.pages.listing import listing as token_list
from tests.conftest import Issue, is_on_postgresql
from tests.factories import AccountFactory, MembershipFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.both]

NAMES = ["Zulu", "beta", "zeta", "ÄPFEL", "e\u0301clair", "Straße", "токен", "İlham", "50%_off"]
SORTED = ["50%_off", "ÄPFEL", "beta", "éclair", "İlham", "Straße", "zeta", "Zulu", "токен"]
SEARCHES = {
    "токен": "токен",
    "ТОКЕН": "токен",
    "äpfel": "ÄPFEL",
    "apfel": "ÄPFEL",
    "A\u0308PFEL": "ÄPFEL",
    "ÉCLAIR": "éclair",
    "E\u0301clair": "éclair",
    "strasse": "Straße",
    "ilham": "İlham",
    "%_": "50%_off",
    "ЖЖ": None,
    "%b": None,
}


def found(searched: str) -> list[str]:
    return [SEARCHES[searched]] if SEARCHES[searched] else []  # type: ignore[list-item]  # not None


def names_in(page: str) -> list[str]:
    """Those of our names that a page shows, in its order."""
    body = page.partition("<tbody")[2]
    return list(dict.fromkeys(re.findall("|".join(map(re.escape, SORTED)), body)))


def test_tokens(user: Membership, issue: Issue, now: datetime) -> None:
    for name in NAMES:
        issue(user, name=name)
    actor = Actor.member(user)

    def shown(**query: str) -> list[str]:
        page = token_list(_query(query), account=user.account, actor=actor, at=now)
        return [row.token.name for row in page["rows"]]

    assert {words: shown(q=words) for words in SEARCHES} == {each: found(each) for each in SEARCHES}
    assert shown(sort="name") == SORTED
    assert shown(sort="-name") == SORTED[::-1]


def test_people(administrator: Membership, now: datetime) -> None:
    for name in NAMES:
        MembershipFactory.create(account=administrator.account, user__name=name)
    User.objects.filter(pk=administrator.user_id).update(name="Zzz")
    actor = Actor.member(administrator)

    def shown(**query: str) -> list[str]:
        page = all_users(_query(query), actor=actor, at=now)
        return [row.member.user.name for row in page["rows"]]

    assert {words: shown(q=words) for words in SEARCHES} == {each: found(each) for each in SEARCHES}
    assert [name for name in shown() if name in SORTED] == SORTED


def test_choices_of_people(administrator: Membership, issue: Issue) -> None:
    for name in NAMES:
        issue(MembershipFactory.create(account=administrator.account, user__name=name))
    actor = Actor.member(administrator)

    of_the_audit_log = AuditFilter(_query({}), actor=actor).fields["person"]
    assert isinstance(of_the_audit_log, PersonField)
    for people in (of_the_audit_log.members, issuers_visible_to(actor)):
        names = {words: [each.user.name for each in meant_by(words, people)] for words in SEARCHES}
        assert names == {words: found(words) for words in SEARCHES}
        everybody = [each.user.name for each in meant_by("@example", people)]
        known = [name for name in everybody if name in SORTED]
        assert known == SORTED[: len(known)]
        assert len(known) > 5


def _query(query: dict[str, str]) -> QueryDict:
    return QueryDict(urlencode(query))


def test_operators_lists(client: Client, user: Membership, issue: Issue) -> None:
    for name in NAMES:
        AccountFactory.create(name=name)
        UserFactory.create(name=name)
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True, name="Operator"))

    def shown(table: str, **query: str) -> list[str]:
        return names_in(client.get(reverse(f"admin:{table}_changelist"), query).text)

    assert shown("accounts_account", q="ТОКЕН") == ["токен"]
    assert shown("accounts_user", q="strasse") == ["Straße"]
    assert shown("accounts_account") == SORTED
    assert shown("accounts_user", o="1") == SORTED
    assert shown("accounts_user", o="-1") == SORTED[::-1]


def test_order_is_that_of_the_readers_language(db: None) -> None:
    for name in (
        "Zaur",
        "Çingiz",
        "Cavid",
        "Xalid",
        "İlham",
        "Iraq",
        "Həsən",
        "Jalə",
        "Əli",
        "Elçin",
    ):
        AccountFactory.create(name=name)

    def order(language: str) -> list[str]:
        with translation.override(language):
            return list(
                Account.objects.order_by(*in_order("name"), "pk").values_list("name", flat=True)
            )

    assert order("az") == (
        ["Cavid", "Çingiz", "Elçin", "Əli", "Həsən", "Xalid", "Iraq", "İlham", "Jalə", "Zaur"]
    )
    assert order("de") == (
        ["Cavid", "Çingiz", "Elçin", "Əli", "Həsən", "İlham", "Iraq", "Jalə", "Xalid", "Zaur"]
    )


def test_names_are_stored_composed_wherever_they_come_from(administrator: Membership) -> None:
    account = administrator.account

    Account.objects.filter(pk=account.pk).update(name="e\u0301clair")
    assert Account.objects.filter(name="e\u0301clair", pk=account.pk).exists()
    account.refresh_from_db()
    assert account.name == "éclair"
    account.name = "a\u0308"
    account.save()
    account.refresh_from_db()
    assert account.name == "ä"
    # What was stored otherwise before is found all the same.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_account SET name = %s", ["E\u0301clair"])
    assert Account.objects.get(name__icontains="éclair") == account


@pytest.fixture
def c_locale() -> Iterator[Any]:
    """A database that knows no letters but those of ASCII, as many are set up."""
    if not is_on_postgresql():
        pytest.skip("of PostgreSQL")
    facts = connection.get_connection_params()
    facts = {name: facts[name] for name in ("host", "user", "password", "port") if name in facts}
    with psycopg.connect(dbname="postgres", autocommit=True, **facts) as server:
        server.execute("CREATE DATABASE c_locale TEMPLATE template0 LOCALE 'C'")
        try:
            with psycopg.connect(dbname="c_locale", autocommit=True, **facts) as there:
                yield there
        finally:
            server.execute("DROP DATABASE c_locale")


def test_database_without_letters_borrows_them(c_locale: psycopg.Connection[Any]) -> None:
    assert c_locale.execute("SELECT upper('äя')").fetchone() == ("äя",)
    compiler = SimpleNamespace(compile=lambda _expression: ("%s::text", ("",)))
    there = SimpleNamespace(
        connection=c_locale, ensure_connection=bool, settings_dict={"NAME": "c_locale"}
    )

    sql, values = SortKey("name").as_postgresql(compiler, there)  # type: ignore[arg-type]  # all that it asks of a connection

    for text, key in (("äpfel", "APFEL"), ("токен", "ТОКЕН"), ("Straße", "STRASSE")):
        assert c_locale.execute(f"SELECT {sql}", [text] * len(values)).fetchone() == (key,)

"""Lists are searched and sorted as people expect, on both databases."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models import Value
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import Account, Membership, User
from accounts.text import expressions
from accounts.text.expressions import SortKey, in_order
from tests.conftest import Issue, SignIn, is_on_postgresql
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


def test_tokens(client: Client, user: Membership, sign_in: SignIn, issue: Issue) -> None:
    for name in NAMES:
        issue(user, name=name)
    sign_in(client, user)
    page = reverse("apitokens:list", args=[user.account_id])

    def shown(**query: str) -> list[str]:
        return [row.token.name for row in client.get(page, query).context["rows"]]

    assert {words: shown(q=words) for words in SEARCHES} == {each: found(each) for each in SEARCHES}
    assert shown(sort="name") == SORTED
    assert shown(sort="-name") == SORTED[::-1]


def test_people(client: Client, administrator: Membership, sign_in: SignIn) -> None:
    for name in NAMES:
        MembershipFactory.create(account=administrator.account, user__name=name)
    User.objects.filter(pk=administrator.user_id).update(name="Zzz")
    sign_in(client, administrator)
    page = reverse("accounts:people", args=[administrator.account_id])

    def shown(**query: str) -> list[str]:
        return [row.member.user.name for row in client.get(page, query).context["rows"]]

    assert {words: shown(q=words) for words in SEARCHES} == {each: found(each) for each in SEARCHES}
    assert [name for name in shown() if name in SORTED] == SORTED
    choices = [
        client.get(reverse("accounts:audit_log", args=[administrator.account_id]))
        .context["form"]["person"]
        .field.choices
    ]
    labels = [str(label) for _value, label in choices[0]]
    assert [label for label in labels if label in SORTED] == SORTED


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
    assert shown("accounts_user", o="2") == SORTED
    assert shown("accounts_user", o="-2") == SORTED[::-1]


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
        ["Cavid", "Çingiz", "Elçin", "Həsən", "İlham", "Iraq", "Jalə", "Xalid", "Zaur", "Əli"]
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


def test_database_without_letters_borrows_them(
    c_locale: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "_collations", {})
    monkeypatch.setattr(connection, "connection", c_locale)
    assert c_locale.execute("SELECT upper('äя')").fetchone() == ("äя",)

    sql, values = SortKey(Value("'")).as_postgresql(_Compiler(), connection)

    for text, key in (("äpfel", "APFEL"), ("токен", "ТОКЕН"), ("Straße", "STRASSE")):
        asked = sql.replace("%s", "%s::text")
        assert c_locale.execute(asked, [text] * len(values)).fetchone() == (key,)  # type: ignore[call-overload]  # no literal


class _Compiler:
    def compile(self, expression: Value) -> tuple[str, tuple[Any, ...]]:
        return "%s", (expression.value,)

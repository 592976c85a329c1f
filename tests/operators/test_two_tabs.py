"""An operator's form changes the row of its page, whatever else another tab has open."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import lxml.html
import pytest
from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.test import Client, RequestFactory

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership, User
from accounts.roles import Role
from apitokens.models import VerifierKey
from apitokens.verification.verifier_keys import issue_verifier
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS
from notifications.models import Mail, State
from sso.models import Connection, Domain
from tests.factories import DomainFactory, UserFactory
from tests.operators.conftest import page, shown
from tests.tenancy.two_accounts import Side, build

FORMS: dict[str, dict[str, str]] = {
    "accounts_account": {"name": "Renamed"},
    "accounts_user": {"new_email": "renamed@example.com"},
    "accounts_membership": {"role": str(Role.USERS.value)},
    "apitokens_service": {"name": "Renamed"},
}
"""By the pages with a form: what is filled in."""
DELETIONS = {"apitokens_apitoken", "apitokens_service", "apitokens_verifierkey"}
ACTIONS = {
    ("accounts_invitation", "send_again"),
    ("accounts_invitation", "withdraw"),
    ("accounts_membership", "unlink"),
    ("apitokens_apitoken", "delete_selected"),
    ("notifications_mail", "try_again"),
    ("sso_connection", "stop_forcing"),
    ("sso_connection", "switch_off"),
    ("sso_domain", "approve"),
    ("sso_domain", "refuse"),
}
"""Of lists, with the rows that are selected."""


@dataclass
class Rows(Side):
    """An account with all rows of its own that operators can change."""

    by_page: dict[str, Model]

    def everything(self) -> list[Any]:
        """All of the account, and those rows that belong to none."""
        rows = [
            list(type(row)._default_manager.filter(pk=row.pk).values())
            for name, row in self.by_page.items()
            if name in ("accounts_user", "apitokens_verifierkey")
        ]
        return [*self.state(), rows]


def _rows(name: str, at: datetime) -> Rows:
    person, colleague = UserFactory.create(), UserFactory.create()
    side = build(name, person, colleague, at)
    by = Actor.operator(through=EntryPoint.COMMAND)
    mail = Mail.objects.create(
        user=person, account=side.account, kind=TOKEN_CHANGED_BY_OTHERS.code, state=State.FAILED,
        created_at=at, next_try_at=at, give_up_at=at,
    )  # fmt: skip
    Connection.objects.filter(pk=side.connection.pk).update(is_forced=True)
    asked: Domain = DomainFactory.create(
        connection=side.connection, asked_by=side.person, approved_at=None
    )
    by_page: dict[str, Model] = {
        "accounts_account": side.account,
        "accounts_user": colleague,
        "accounts_membership": side.colleague,
        "accounts_invitation": side.invitation,
        "apitokens_apitoken": side.token,
        "apitokens_service": side.cdn,
        "apitokens_verifierkey": issue_verifier(name=name, by=by, at=at).verifier,
        "notifications_mail": mail,
        "sso_connection": side.connection,
        "sso_domain": asked,
    }
    return Rows(**vars(side), by_page=by_page)


@pytest.fixture
def sides(operator: User, now: datetime) -> tuple[Rows, Rows]:
    return _rows("Acme", now), _rows("Globex", now)


@contextmanager
def only_ours_changes(sides: tuple[Rows, Rows], *what: str) -> Iterator[None]:
    """Inside one form is sent, which is undone afterwards."""
    ours, others = sides
    with transaction.atomic():
        before, kept = ours.everything(), others.everything()
        yield
        assert others.everything() == kept, what
        assert ours.everything() != before, what
        transaction.set_rollback(True)


def form_of(text: str, has: Callable[[Any], bool]) -> dict[str, Any]:
    """What the page's form sends as it is shown: each field with all its values."""
    (form,) = (each for each in lxml.html.fromstring(text).forms if has(each))
    fields: dict[str, Any] = {}
    for name, value in form.form_values():
        fields.setdefault(name, []).append(value)
    return fields


def test_everything_that_operators_change_is_walked(operator: User, rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = operator
    can_be: tuple[set[str], set[str], set[tuple[str, str]]] = set(), set(), set()
    for model, page_of in admin.site._registry.items():
        name = model._meta.label_lower.replace(".", "_")
        if page_of.has_change_permission(request):
            can_be[0].add(name)
        if page_of.has_delete_permission(request):
            can_be[1].add(name)
        can_be[2].update((name, action) for action in page_of.get_actions(request))

    assert can_be == (set(FORMS), DELETIONS, ACTIONS)


def test_form_changes_the_row_of_its_page(browser: Client, sides: tuple[Rows, Rows]) -> None:
    ours, others = sides
    for name, filled_in in FORMS.items():
        address = page(f"{name}_change", ours.by_page[name].pk)
        fields = form_of(shown(browser, address), lambda form: "_save" in form.fields)
        shown(browser, page(f"{name}_change", others.by_page[name].pk))
        with only_ours_changes(sides, name):
            answer = browser.post(address, fields | filled_in)
            assert answer.status_code == 302, answer.content.decode()


def test_row_of_the_question_is_deleted(browser: Client, sides: tuple[Rows, Rows]) -> None:
    ours, others = sides
    for name in DELETIONS:
        address = page(f"{name}_delete", ours.by_page[name].pk)
        fields = form_of(shown(browser, address), lambda form: "post" in form.fields)
        shown(browser, page(f"{name}_delete", others.by_page[name].pk))
        with only_ours_changes(sides, name):
            assert browser.post(address, fields).status_code == 302


def test_action_is_for_the_rows_that_are_selected(
    browser: Client, sides: tuple[Rows, Rows]
) -> None:
    ours, others = sides
    for name, action in ACTIONS:
        address = page(f"{name}_changelist")
        fields = form_of(shown(browser, address), lambda form: "action" in form.fields)
        assert str(others.by_page[name].pk) in str(fields) or "shown" not in fields
        fields |= {"_selected_action": [str(ours.by_page[name].pk)], "action": action}
        shown(browser, page(f"{name}_change", others.by_page[name].pk))
        with only_ours_changes(sides, name, action):
            answer = browser.post(address, fields)
            if answer.status_code == 200:  # it asks first
                asked = form_of(answer.content.decode(), lambda form: "post" in form.fields)
                answer = browser.post(address, asked)
            assert answer.status_code == 302


def test_new_rows_are_made_in_the_account_that_was_chosen(
    browser: Client, sides: tuple[Rows, Rows], now: datetime
) -> None:
    ours, others = sides
    person: User = UserFactory.create()
    made: dict[str, dict[str, Any]] = {
        "accounts_membership": {
            "account": ours.account.pk, "user": person.pk, "role": Role.USERS.value,
        },
        "apitokens_service": {
            "account": ours.account.pk, "code": "video", "name": "Video",
            "scope_lines": "read | Read",
        },
        "accounts_invitation": {
            "account": ours.account.pk, "email": "new@example.com", "role": Role.USERS.value,
            "language": "en",
        },
    }  # fmt: skip
    for name, filled_in in made.items():
        fields = form_of(shown(browser, page(f"{name}_add")), lambda form: "_save" in form.fields)
        shown(browser, page("accounts_account_change", others.account.pk))
        with only_ours_changes(sides, name):
            answer = browser.post(page(f"{name}_add"), fields | filled_in)
            assert answer.status_code == 302, answer.content.decode()
    assert VerifierKey.objects.count() == 2
    assert Membership.objects.filter(user=person).count() == 0

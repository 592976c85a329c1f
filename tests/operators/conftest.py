"""An operator, and their browser."""

from collections.abc import Callable
from typing import Any

import lxml.html
import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, User
from tests.factories import UserFactory


@pytest.fixture
def operator(db: None) -> User:
    return UserFactory.create(email="operator@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(operator: User) -> Client:
    """The operator's browser."""
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.force_login(operator)
    return client


@pytest.fixture
def events() -> Callable[..., list[AuditEvent]]:
    """`events(kind, **fields)`: the events of this kind, oldest first."""

    def find(kind: str, **fields: Any) -> list[AuditEvent]:
        return list(AuditEvent.objects.filter(kind=kind, **fields).order_by("pk"))

    return find


Events = Callable[..., list[AuditEvent]]


def changes() -> list[AuditEvent]:
    """All events but those of the operator's own signing in."""
    return list(AuditEvent.objects.exclude(kind="sign_in.succeeded"))


def page(name: str, *args: Any) -> str:
    """The address of a page of the admin, as in `page("accounts_user_change", 5)`."""
    return reverse(f"admin:{name}", args=args)


def shown(client: Client, address: str, **query: Any) -> str:
    """The text of a page, which must answer."""
    response = client.get(address, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def selected(client: Client, name: str, *rows: Model) -> dict[str, list[str]]:
    """The fields of a list as it is now, with these rows selected."""
    text = shown(client, page(name))
    (form,) = (each for each in lxml.html.fromstring(text).forms if "shown" in each.fields)
    return {
        "shown": [value for field, value in form.form_values() if field == "shown"],
        "_selected_action": [str(row.pk) for row in rows],
    }

"""Pages that say why there is no other: 403, 404 and 405, for strangers and within the portal."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership
from tests.conftest import SignIn
from tests.factories import AccountFactory, MembershipFactory

pytestmark = pytest.mark.django_db

SWITCHER = "Switch account"


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_stranger_gets_a_plain_page_and_costs_no_query(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/no-such-page/")
    assert answer.status_code == 404
    assert 'class="plain"' in text(answer)


def test_member_of_several_accounts_can_switch_where_there_is_no_page(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    MembershipFactory.create(user=user.user, account__name="Globex")
    sign_in(client, user)

    page = text(client.get("/accounts/999999/users/"))

    assert SWITCHER in page
    assert f'href="{reverse("accounts:people", args=[user.account_id])}"' in page


def test_page_tells_nothing_of_an_account_of_others(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    """Whether there is one or not, but for the address that the reader has typed."""
    hidden = AccountFactory.create(name="Hidden Ltd")
    sign_in(client, user)
    token = re.compile('name="csrfmiddlewaretoken" value="[^"]*"')

    pages = [
        token.sub("", text(client.get(f"/accounts/{number}/users/"))).replace(str(number), "N")
        for number in (hidden.pk, hidden.pk + 1)
    ]

    assert pages[0] == pages[1]
    assert "Hidden" not in pages[0]


def test_refused_page_has_the_switcher_too(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    MembershipFactory.create(user=user.user, account__name="Globex")
    sign_in(client, user)

    answer = client.get(reverse("accounts:invite", args=[user.account_id]))

    assert answer.status_code == 403
    assert SWITCHER in text(answer)
    assert "Only Administrators" in text(answer)


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_address_of_a_form_that_is_opened_says_so(
    client: Client, user: Membership, sign_in: SignIn, is_signed_in: bool
) -> None:
    if is_signed_in:
        sign_in(client, user)
    answer = client.get(reverse("accounts:theme"))

    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert "Error 405" in text(answer)
    assert ("topbar" in text(answer)) is is_signed_in


@pytest.mark.parametrize("path", ["/healthz", "/iam/auth/jwt/login"])
def test_programs_get_no_page(client: Client, path: str) -> None:
    answer = client.put(path)
    assert answer.status_code == 405
    assert b"<html" not in answer.content

"""A new token that begins as another was: also one that has expired or was deleted."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.models import Membership, User
from accounts.roles import Role
from apitokens.models import APIToken
from tests.apitokens.pages.creation.test_create import LIST, URL, browser, filled_in, token_in
from tests.conftest import SignIn
from tests.factories import MembershipFactory, issue, service_account

__all__ = ["browser"]
pytestmark = pytest.mark.django_db


def form_of(client: Client, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.context["form"]


def values(form: Any) -> dict[str, Any]:
    names = ("name", "description", "access", "scopes", "allowed_addresses")
    return {name: form[name].value() for name in names} | {"role": str(form["role"].value())}


@pytest.fixture
def model(engineer: Membership, now: datetime) -> APIToken:
    return issue(
        engineer,
        at=now,
        name="Nightly <export>",
        description="Line one\nLine two",
        role=Role.USERS,
        scopes=["tokens:read"],
        allowed_addresses=["203.0.113.0/24", "2001:db8::1"],
    ).token


@pytest.mark.parametrize("state", ["active", "expired", "deleted"])
def test_form_begins_with_what_the_token_was(browser: Client, model: APIToken, state: str) -> None:
    now = datetime.now(UTC)
    changes = {"active": {}, "expired": {"expires_at": now}, "deleted": {"deleted_at": now}}[state]
    APIToken.objects.filter(pk=model.pk).update(**changes)
    link = f"{URL}?like={model.pk}"
    assert link in browser.get(f"{LIST}{model.pk}/").content.decode()
    form = form_of(browser, link)
    assert values(form) == {
        "name": "Nightly <export>",
        "description": "Line one\nLine two",
        "role": str(Role.USERS.value),
        "access": "chosen",
        "scopes": ["tokens:read"],
        "allowed_addresses": model.allowed_addresses,
    }
    assert form.initial["scopes"] == ["tokens:read"]
    assert form["expires_on"].value() == form_of(browser, URL)["expires_on"].value()


def test_ticks_that_nobody_made_do_not_count(browser: Client, model: APIToken) -> None:
    link = f"{URL}?like={model.pk}"
    page = browser.get(link)
    assert f'action="{link}"' in page.content.decode()
    begun = values(page.context["form"])
    token = APIToken.objects.get(
        pk=token_in(browser.post(link, filled_in(**{**begun, "access": "all"}))).partition("$")[0]
    )
    assert token.scopes is None
    ticked = {**begun, "access": "all", "scopes": ["users:read"]}
    assert browser.post(link, filled_in(**ticked)).status_code == 400
    gone = filled_in(**{**begun, "access": "chosen"})
    assert token_in(browser.post(f"{URL}?like=999", gone))  # what was typed is not lost


def test_token_that_only_reads_is_followed_by_one_that_only_reads(
    browser: Client, engineer: Membership, now: datetime
) -> None:
    every = ["tokens:read", "users:read", "audit:read"]
    token = issue(engineer, at=now, scopes=every).token
    assert values(form_of(browser, f"{URL}?like={token.pk}"))["access"] == "read"


def test_scope_that_is_gone_is_left_out(
    browser: Client, engineer: Membership, model: APIToken
) -> None:
    APIToken.objects.filter(pk=model.pk).update(scopes="cdn:purge tokens:read")
    page = browser.get(f"{URL}?like={model.pk}").content.decode()
    assert "cdn:purge" not in page
    assert values(form_of(browser, f"{URL}?like={model.pk}"))["access"] == "chosen"


def test_it_is_a_token_of_its_own(browser: Client, model: APIToken) -> None:
    form = form_of(browser, f"{URL}?like={model.pk}")
    sent = filled_in(**values(form), form_key=str(form["form_key"].value()))
    key = token_in(browser.post(f"{URL}?like={model.pk}", sent))
    token = APIToken.objects.get(pk=key.partition("$")[0])
    assert token.pk != model.pk
    for fact in ("name", "description", "role", "scopes", "allowed_addresses", "issuer_id"):
        assert getattr(token, fact) == getattr(model, fact), fact


def test_role_that_the_reader_may_not_give_is_not_taken_over(
    client: Client, sign_in: SignIn, user: Membership, now: datetime
) -> None:
    token = issue(user, at=now).token
    APIToken.objects.filter(pk=token.pk).update(role=Role.ADMINISTRATORS)
    sign_in(client, user)
    assert values(form_of(client, f"{URL}?like={token.pk}"))["role"] == str(Role.USERS.value)


def test_administrator_gets_a_token_of_their_own_like_anothers(
    client: Client, sign_in: SignIn, administrator: Membership, model: APIToken
) -> None:
    sign_in(client, administrator)
    answer = client.get(f"{URL}?like={model.pk}")
    assert answer.context["issuer"] == administrator
    assert answer.context["form"]["name"].value() == model.name


def test_token_of_a_service_account_is_followed_by_another_of_it(
    client: Client, sign_in: SignIn, user: Membership
) -> None:
    now = datetime.now(UTC)
    deploys = service_account(user.account, at=now, issuers=[user])
    issued = issue(user, issuer=deploys.membership, name="Purge", at=now)
    sign_in(client, user)
    link = f"{URL}?like={issued.token.pk}"
    answer = client.get(link)
    assert answer.context["issuer"] == deploys.membership
    assert answer.context["form"]["name"].value() == "Purge"
    assert client.get(f"{link}&for=999").status_code == 404
    own = f"{link}&for={user.user_id}"
    assert own.replace("&", "&amp;") in answer.content.decode()
    answer = client.get(own)
    assert answer.context["issuer"] == user
    assert answer.context["form"]["name"].value() == "Purge"
    of_it = f"{URL}?for={deploys.membership.user_id}&amp;like={issued.token.pk}"
    assert of_it in answer.content.decode()
    User.everyone.filter(pk=deploys.membership.user_id).update(is_active=False)
    assert client.get(link).context["issuer"] == user  # it may have no more tokens


def test_administrator_of_another_account_finds_nothing(
    client: Client, sign_in: SignIn, model: APIToken
) -> None:
    other = MembershipFactory.create(role=Role.ADMINISTRATORS)
    sign_in(client, other)
    url = f"/accounts/{other.account_id}/api-tokens/create/"
    assert client.get(url).status_code == 200
    assert client.get(f"{url}?like={model.pk}").status_code == 404


@pytest.mark.parametrize("like", ["", "0", "x", "9" * 30, "-1", "٣", "not mine"])
def test_token_that_the_reader_may_not_see_is_not_found(
    client: Client, sign_in: SignIn, user: Membership, model: APIToken, like: str
) -> None:
    sign_in(client, user)
    number = model.pk if like == "not mine" else like
    assert client.get(f"{URL}?like={number}").status_code == 404

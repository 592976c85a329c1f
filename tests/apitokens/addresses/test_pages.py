"""The list of addresses on the pages of a token, and by the API."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.roles import Role
from apitokens.api.introspect import FORM
from apitokens.models import APIToken, TokenAddress
from apitokens.tokens import editing
from apitokens.verification.verifier_keys import issue_verifier
from tests.apitokens.addresses.test_list_of_a_token import OPERATOR
from tests.conftest import Api, Issue, SignIn

pytestmark = pytest.mark.django_db

HERE = "203.0.113.7"


def url_of(token: APIToken, page: str = "token") -> str:
    return reverse(f"apitokens:{page}", kwargs={"account_id": token.account_id, "pk": token.pk})


def sent(token: APIToken, **facts: Any) -> dict[str, Any]:
    return {
        "name": token.name,
        "description": "",
        "role": token.role,
        "expiration": "keep",
        "typed_by": token.issuer.user_id,
        **facts,
    }


@pytest.fixture
def browser(client: Client, engineer: Membership, sign_in: SignIn) -> Client:
    sign_in(client, engineer)
    return client


@pytest.fixture
def token(engineer: Membership, issue: Issue) -> APIToken:
    return issue(engineer, allowed_addresses=[HERE]).token


def saw(token: APIToken, address: str, at: datetime) -> None:
    TokenAddress.objects.create(token=token, address=address, first_seen_at=at, last_seen_at=at)


# Pages


def test_list_is_saved_and_what_was_left_out_is_told(browser: Client, token: APIToken) -> None:
    answer = browser.post(
        url_of(token, "edit"),
        sent(token, allowed_addresses="10.1.2.3\r\n10.0.0.0/8, 2001:DB8::7"),
        follow=True,
    )
    token.refresh_from_db()
    assert token.address_list == ["10.0.0.0/8", "2001:db8::7"]
    words = answer.content.decode()
    assert "10.1.2.3 is part of 10.0.0.0/8" in words
    assert "2001:db8::7" in words


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("203.0.113.7/24", "Write 203.0.113.0/24 for the network"),
        ("x", "is not an IP address or network"),
        (" ".join(f"10.0.0.{number}" for number in range(21)), "at most 20"),
        ("9" * 4001, "Enter at most 20 addresses"),
        ("<script>alert(1)</script>", "&lt;script&gt;"),
    ],
)
def test_wrong_list_is_told_and_what_was_typed_stays(
    browser: Client, token: APIToken, typed: str, sentence: str
) -> None:
    answer = browser.post(url_of(token, "edit"), sent(token, name="Other", allowed_addresses=typed))
    assert answer.status_code == 400
    words = answer.content.decode()
    assert sentence in words
    assert "Other" in words
    assert "<script>alert" not in words
    token.refresh_from_db()
    assert (token.name, token.address_list) == ("Nightly backup", [HERE])


def test_all_addresses_have_to_be_meant(browser: Client, token: APIToken) -> None:
    typed = sent(token, allowed_addresses="0.0.0.0/0")
    answer = browser.post(url_of(token, "edit"), typed)
    assert answer.status_code == 400
    assert "0.0.0.0/0 allows all such addresses" in answer.content.decode()
    assert 'name="is_everywhere"' in answer.content.decode()
    token.refresh_from_db()
    assert token.address_list == [HERE]
    assert browser.post(url_of(token, "edit"), typed | {"is_everywhere": "on"}).status_code == 302
    token.refresh_from_db()
    assert token.address_list == ["0.0.0.0/0"]
    assert browser.post(url_of(token, "edit"), typed | {"name": "New"}).status_code == 302


def test_form_without_the_list_keeps_it(browser: Client, token: APIToken) -> None:
    """As from a page that was opened before there were lists: it must not let more in."""
    assert browser.post(url_of(token, "edit"), sent(token, name="New")).status_code == 302
    token.refresh_from_db()
    assert (token.name, token.address_list) == ("New", [HERE])


def test_empty_list_allows_all(browser: Client, token: APIToken) -> None:
    browser.post(url_of(token, "edit"), sent(token, allowed_addresses=" \r\n"))
    token.refresh_from_db()
    assert token.address_list == []


def test_seen_addresses_fill_the_list_and_save_nothing(
    browser: Client, token: APIToken, now: datetime
) -> None:
    saw(token, "203.0.113.9", now - timedelta(days=2))
    saw(token, "2001:db8::7", now - timedelta(days=1))
    saw(token, "198.51.100.9", now - timedelta(days=31))
    answer = browser.post(
        url_of(token, "edit"), sent(token, name="Other", allowed_addresses="x", fill="seen")
    )
    assert answer.status_code == 200
    form = answer.context["form"]
    assert form["allowed_addresses"].value() == "2001:db8::/64\n203.0.113.9"
    assert form["name"].value() == "Other"
    assert not form.errors
    assert "2 addresses were filled in" in answer.content.decode()
    token.refresh_from_db()
    assert (token.name, token.address_list) == ("Nightly backup", [HERE])


def test_more_addresses_than_a_list_has_are_told(
    browser: Client, token: APIToken, now: datetime
) -> None:
    for number in range(23):
        saw(token, f"10.0.0.{number}", now - timedelta(minutes=number))
    answer = browser.post(url_of(token, "edit"), sent(token, fill="seen"))
    filled = answer.context["form"]["allowed_addresses"].value().split()
    assert filled == [f"10.0.0.{number}" for number in range(20)]
    assert "3 more addresses were seen" in answer.content.decode()


def test_nothing_seen_leaves_the_list_as_it_was_typed(browser: Client, token: APIToken) -> None:
    answer = browser.post(
        url_of(token, "edit"), sent(token, allowed_addresses="10.0.0.1", fill="seen")
    )
    assert answer.context["form"]["allowed_addresses"].value() == "10.0.0.1"
    assert "It wasn&#x27;t used in the last 30 days" in answer.content.decode()


def test_only_who_may_edit_sees_what_was_seen(
    client: Client, user: Membership, token: APIToken, sign_in: SignIn, now: datetime
) -> None:
    saw(token, "203.0.113.9", now)
    sign_in(client, user)
    assert client.post(url_of(token, "edit"), sent(token, fill="seen")).status_code == 404


def test_token_is_created_with_a_list(browser: Client, engineer: Membership) -> None:
    path = reverse("apitokens:create", kwargs={"account_id": engineer.account_id})
    page = browser.get(path)
    assert "<details" in page.content.decode()
    typed = {
        "name": "Backup",
        "description": "",
        "role": Role.USERS.value,
        "expiration": "never",
        "form_key": page.context["form"]["form_key"].value(),
        "typed_by": engineer.user_id,
    }
    wrong = browser.post(path, typed | {"allowed_addresses": "203.0.113.7:80"})
    assert wrong.status_code == 400
    assert '<details class="field limits" open>' in wrong.content.decode()
    assert not APIToken.objects.exists()
    assert browser.post(path, typed | {"allowed_addresses": HERE}).status_code == 200
    assert APIToken.objects.get().address_list == [HERE]


def test_list_is_shown_where_tokens_are(
    client: Client, administrator: Membership, token: APIToken, sign_in: SignIn
) -> None:
    sign_in(client, administrator)
    account = {"account_id": token.account_id}
    editing.edit(
        token=token,
        changes={"allowed_addresses": [HERE, "10.0.0.0/8", "2001:db8::/48", "192.0.2.1"]},
        by=Actor.member(administrator),
        at=token.created_at,
    )
    tokens = client.get(reverse("apitokens:list", kwargs=account)).content.decode()
    assert "Address list" in tokens
    assert "192.0.2.1" in tokens
    assert "192.0.2.1" in client.get(url_of(token)).content.decode()
    access = " ".join(
        client.get(reverse("apitokens:access", kwargs=account)).content.decode().split()
    )
    assert "only from" in access
    assert "and 1 more" in access


# The API


@pytest.fixture
def service(administrator: Membership, issue: Issue, api: Api) -> Any:
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


def test_api_creates_reads_and_edits_the_list(service: Any, administrator: Membership) -> None:
    tokens = f"/iam/clients/{administrator.account_id}/tokens"
    asked: dict[str, Any] = {"name": "Backup", "exp_date": None, "client_user": {}}
    made = service.post(tokens, asked | {"allowed_addresses": ["::ffff:203.0.113.7"]}, "json")
    assert made.json()["allowed_addresses"] == [HERE]
    address = f"{tokens}/{made.json()['id']}"
    assert service.get(address).json()["allowed_addresses"] == [HERE]
    edited = service.patch(address, {"allowed_addresses": ["10.1.2.3", "10.0.0.0/8"]}, "json")
    assert edited.json()["allowed_addresses"] == ["10.0.0.0/8"]
    assert service.patch(address, {"name": "New"}, "json").json()["allowed_addresses"] == [
        "10.0.0.0/8"
    ]
    nothings: tuple[Any, ...] = (None, [])
    for nothing in nothings:
        emptied = service.patch(address, {"allowed_addresses": nothing}, "json")
        assert emptied.json()["allowed_addresses"] == []
    assert service.post(tokens, asked, "json").json()["allowed_addresses"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "203.0.113.7",
        ["203.0.113.7/24"],
        [7],
        [None],
        [["x"]],
        {"0": HERE},
        [""],
        ["x" * 81],
        [HERE] * 21,
    ],
)
def test_api_refuses_a_bad_list(service: Any, administrator: Membership, wrong: object) -> None:
    tokens = f"/iam/clients/{administrator.account_id}/tokens"
    number = APIToken.objects.count()
    asked = {"name": "Backup", "exp_date": None, "client_user": {}, "allowed_addresses": wrong}
    answer = service.post(tokens, asked, "json")
    assert answer.status_code == 400
    assert "allowed_addresses" in answer.json()["errors"]
    assert APIToken.objects.count() == number


def test_portals_own_api_obeys_the_list(administrator: Membership, issue: Issue, api: Api) -> None:
    client = api(issue(administrator, allowed_addresses=[HERE]).key)
    answer = client.get("/iam/clients/me")
    assert answer.status_code == 403
    assert answer.json()["code"] == "address_not_allowed"
    assert client.get("/iam/clients/me", REMOTE_ADDR=HERE).status_code == 200


def test_batch_judges_each_token_by_its_own_client(
    engineer: Membership, issue: Issue, client: Client, now: datetime
) -> None:
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now).key.spell()
    limited, free = issue(engineer, allowed_addresses=[HERE]).key, issue(engineer).key

    def ask(questions: object) -> Any:
        return client.post(
            "/iam/auth/introspect/batch",
            questions,
            content_type="application/json",
            headers={"Authorization": f"Bearer {verifier}"},
        )

    answers = ask(
        [
            limited.spell(),
            {"token": limited.spell()},
            {"token": limited.spell(), "client_address": HERE},
            {"token": limited.spell(), "client_address": "198.51.100.7"},
            {"token": free.spell(), "client_address": "198.51.100.7"},
        ]
    ).json()
    assert [each["active"] for each in answers] == [True, True, True, False, True]
    assert answers[0]["allowed_addresses"] == [HERE]
    for wrong in ("x", None, 7, ""):
        refused = ask([{"token": free.spell(), "client_address": wrong}])
        assert refused.status_code == 400
        assert "client_address" in refused.json()["errors"]
    for strange in ({"client_address": HERE}, {"token": free.spell(), "address": HERE}, {}):
        assert ask([strange]).status_code == 400


def test_named_address_is_where_the_token_was_used_from(
    engineer: Membership, issue: Issue, client: Client, now: datetime, usage_flusher: Any
) -> None:
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now).key.spell()
    token, key = issue(engineer)
    client.post(
        "/iam/auth/introspect",
        f"token={key.spell('_')}&client_address=203.0.113.9:4711",
        content_type=FORM,
        headers={"Authorization": f"Bearer {verifier}"},
    )
    usage_flusher.end()
    token.refresh_from_db()
    assert token.last_used_address == "203.0.113.9"
    assert TokenAddress.objects.get().address == "203.0.113.9"

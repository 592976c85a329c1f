"""Whatever is no token of ours, or was made into another, is told so in the same words."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
import time_machine
from django.conf import settings as portal
from django.utils.crypto import salted_hmac
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.jwt import tokens
from accounts.models import AuditEvent, Membership, TokenFamily
from apitokens.keys import make
from tests.accounts.jwt.conftest import (
    ENDED,
    ME,
    REFRESH,
    Pair,
    PairOf,
    is_good,
    post,
    turn_in,
    with_access,
)
from tests.conftest import Issue

pytestmark = pytest.mark.django_db

KEY = salted_hmac("accounts.jwt", "key", secret=portal.SECRET_KEY, algorithm="sha256").hexdigest()


@pytest.fixture
def pair(user: Membership, pair_of: PairOf) -> Pair:
    return pair_of(user)


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def made(claims: dict[str, Any], *, key: str = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def refused(access: str) -> None:
    answer = with_access(access).get(ME)
    assert (answer.status_code, answer.json()) == (401, ENDED)


def test_what_these_tests_forge_is_believed_when_it_is_right(pair: Pair) -> None:
    assert with_access(made(claims_of(pair["access"]))).get(ME).status_code == 200


# --- Signatures --------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None])
@pytest.mark.parametrize("with_signature", [False, True])
def test_algorithm_none(pair: Pair, algorithm: str | None, with_signature: bool) -> None:
    _header, body, signature = pair["access"].split(".")
    header = encoded({"typ": "JWT", "alg": algorithm})
    refused(f"{header}.{body}.{signature if with_signature else ''}")


def test_no_algorithm_at_all(pair: Pair) -> None:
    _header, body, signature = pair["access"].split(".")
    refused(f"{encoded({'typ': 'JWT'})}.{body}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_the_right_key(pair: Pair, algorithm: str) -> None:
    refused(made(claims_of(pair["access"]), algorithm=algorithm))


@pytest.mark.parametrize(
    "key",
    ["", "secret", portal.SECRET_KEY, "0" * 64, KEY.upper()],
    ids=["none", "a guess", "the secret itself", "zeros", "in capitals"],
)
def test_another_key(pair: Pair, key: str) -> None:
    body = ".".join(pair["access"].split(".")[:2])
    signature = hmac.new(key.encode(), body.encode(), hashlib.sha256).digest()
    refused(f"{body}.{encoded(signature)}")


def test_key_that_the_token_brings_along(pair: Pair) -> None:
    own = {"kty": "oct", "k": encoded(b"mine")}
    told = {"jwk": own, "jku": "https://example.com/keys", "kid": "../../dev/null"}
    refused(jwt.encode(claims_of(pair["access"]), "mine" * 8, algorithm="HS256", headers=told))


def test_changed_claim_under_the_old_signature(pair: Pair, administrator: Membership) -> None:
    header, _body, signature = pair["access"].split(".")
    changed = {**claims_of(pair["access"]), "membership": administrator.pk}
    refused(f"{header}.{encoded(changed)}.{signature}")


def test_signature_of_another_token(pair: Pair, user: Membership, pair_of: PairOf) -> None:
    other = pair_of(user)["access"]
    refused(pair["access"].rpartition(".")[0] + "." + other.rpartition(".")[2])


@pytest.mark.parametrize("cut", [1, 5, 43])
def test_cut_signature(pair: Pair, cut: int) -> None:
    refused(pair["access"][:-cut])


# --- Claims ------------------------------------------------------------------------------------


def test_access_as_refresh(pair: Pair) -> None:
    answer = turn_in(pair["access"])
    assert (answer.status_code, answer.json()) == (401, ENDED)
    assert is_good(pair)


def test_refresh_as_access(pair: Pair) -> None:
    refused(pair["refresh"])


def test_refresh_as_access_does_not_spend_it(pair: Pair) -> None:
    refused(pair["refresh"])
    assert turn_in(pair["refresh"]).status_code == 200


def test_family_of_another_person(pair: Pair, administrator: Membership, pair_of: PairOf) -> None:
    theirs = claims_of(pair_of(administrator)["access"])
    refused(made({**claims_of(pair["access"]), "family": theirs["family"]}))


def test_membership_of_another_account(pair: Pair, stranger: Membership) -> None:
    refused(made({**claims_of(pair["access"]), "membership": stranger.pk}))


def test_refresh_for_another_account(pair: Pair, stranger: Membership) -> None:
    forged = made({**claims_of(pair["refresh"]), "membership": stranger.pk})
    assert turn_in(forged).status_code == 401
    assert is_good(pair)


def test_family_that_does_not_exist(pair: Pair) -> None:
    refused(made({**claims_of(pair["access"]), "family": uuid4().hex}))


@pytest.mark.parametrize("claim", ["family", "membership", "jti", "exp", "token_type"])
def test_missing_claim(pair: Pair, claim: str) -> None:
    claims = claims_of(pair["access"])
    del claims[claim]
    refused(made(claims))


SENSELESS: list[Any] = [None, "", "x", 1.5, [], {}, "0" * 31, True, -1, 2**70]


@pytest.mark.parametrize("value", SENSELESS)
@pytest.mark.parametrize("claim", ["family", "membership", "token_type"])
def test_claim_that_makes_no_sense(pair: Pair, claim: str, value: Any) -> None:
    refused(made({**claims_of(pair["access"]), claim: value}))


@pytest.mark.parametrize("value", SENSELESS)
def test_refresh_token_whose_id_makes_no_sense(pair: Pair, value: Any) -> None:
    body = encoded({**claims_of(pair["refresh"]), "jti": value})
    text = f"{pair['refresh'].split('.')[0]}.{body}"
    signature = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).digest()
    assert turn_in(f"{text}.{encoded(signature)}").status_code == 401
    assert is_good(pair)


# --- Time --------------------------------------------------------------------------------------


def test_token_from_the_past(pair: Pair) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    refused(made({**claims_of(pair["access"]), "exp": int(past.timestamp())}))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_token_from_the_future(pair: Pair, claim: str) -> None:
    later = datetime.now(UTC) + timedelta(minutes=5)
    refused(made({**claims_of(pair["access"]), claim: int(later.timestamp())}))


def test_token_from_a_portal_whose_clock_ran_ahead(user: Membership, pair_of: PairOf) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2)):
        pair = pair_of(user)
    refused(pair["access"])


@pytest.mark.parametrize("exp", ["tomorrow", None, [], 10**30, -1, True])
def test_end_that_makes_no_sense(pair: Pair, exp: Any) -> None:
    refused(made({**claims_of(pair["access"]), "exp": exp}))


# --- Text --------------------------------------------------------------------------------------

NONSENSE = [
    "",
    " ",
    "x",
    ".",
    "..",
    "...",
    "a.b.c",
    "null",
    "é",
    "\x00",
    "0" * 10_000,
    "." * 10_000,
    f"{encoded(b'[' * 360)}.e30.e30",
    f"{encoded(b'[' * 20_000)}.e30.e30",
    f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(b'{' * 300)}.e30",
    f"{encoded(b'null')}.e30.e30",
    f"{encoded(b'5')}.e30.e30",
    f"{encoded({'alg': ['HS256']})}.e30.e30",
    f"{encoded({'alg': {'HS256': 1}})}.e30.e30",
    f"{encoded(b'9' * 350)}.e30.e30",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_text_that_is_no_token(text: str, db: None) -> None:
    answer = APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {text}")
    assert (answer.status_code, answer.json()) == (401, ENDED)


@pytest.mark.parametrize("text", [each for each in NONSENSE if each.strip("\0 ")])
def test_text_that_is_no_refresh_token(text: str, db: None) -> None:
    answer = turn_in(text)
    assert (answer.status_code, answer.json()) == (401, ENDED)


def test_api_token_is_no_bearer_token(user: Membership, issue: Issue) -> None:
    refused(issue(user).key.spell())


def test_access_token_is_no_api_token(pair: Pair) -> None:
    answer = APIClient(headers={"Authorization": f"APIKey {pair['access']}"}).get(ME)
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad permanent token")


@pytest.mark.parametrize("where", ["?access={0}", "?token={0}", "?Authorization=Bearer+{0}"])
def test_token_in_the_address_is_no_credential(pair: Pair, where: str) -> None:
    assert APIClient().get(ME + where.format(pair["access"])).status_code == 401


# --- Keys --------------------------------------------------------------------------------------


def test_tokens_outlive_a_change_of_the_secret_key_that_keeps_the_old_one(
    pair: Pair, settings: Settings
) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" * 8
    assert is_good(pair)
    assert is_good(turn_in(pair["refresh"]).json())


def test_tokens_do_not_outlive_a_change_that_drops_it(pair: Pair, settings: Settings) -> None:
    settings.SECRET_KEY = "another" * 8
    refused(pair["access"])
    assert turn_in(pair["refresh"]).status_code == 401


def test_token_is_shorter_than_the_longest_that_is_read(pair: Pair) -> None:
    assert max(map(len, pair.values())) < tokens.LONGEST * 0.8


def test_forged_tokens_leave_no_trace(pair: Pair) -> None:
    before = AuditEvent.objects.count(), TokenFamily.objects.count()
    for text in NONSENSE:
        APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {text}")
        post(REFRESH, {"refresh": text or "x"})
    assert (AuditEvent.objects.count(), TokenFamily.objects.count()) == before


# --- Too many ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def few(settings: Settings) -> None:
    settings.REFUSAL_RATE = 60


@pytest.fixture
def one_minute() -> Iterator[None]:
    """The clock stands still within a minute: refusals are counted by the minute."""
    with time_machine.travel(time() // 60 * 60 + 1, tick=False):
        yield


within_one_minute = pytest.mark.usefixtures("one_minute")


@within_one_minute
@pytest.mark.parametrize(
    "header",
    ["Bearer nonsense", "APIKey nonsense", f"APIKey {make(5).spell()}"],
    ids=["no JWT", "no API token", "unknown API token"],
)
def test_address_that_sends_nothing_but_bad_credentials_is_told_to_wait(
    header: str, db: None
) -> None:
    client = APIClient(headers={"Authorization": header})
    assert {client.get(ME).status_code for _try in range(60)} == {401}
    answer = client.get(ME)
    assert answer.status_code == 429
    assert answer["Retry-After"] == "59"


@within_one_minute
def test_neighbours_in_one_ipv6_network_are_told_to_wait_together() -> None:
    answers = [
        with_access("nonsense").get(ME, REMOTE_ADDR=f"2001:db8::{number:x}").status_code
        for number in range(61)
    ]
    assert answers == [401] * 60 + [429]


@within_one_minute
def test_refresh_tokens_that_are_not_good_count_as_well(db: None) -> None:
    assert {turn_in("x").status_code for _try in range(60)} == {401}
    assert turn_in("x").status_code == 429


@within_one_minute
def test_good_credentials_from_there_go_on_working(
    user: Membership, issue: Issue, pair: Pair
) -> None:
    holder = APIClient(headers={"Authorization": f"APIKey {issue(user).key.spell()}"})
    holder.get(ME)
    for _try in range(61):
        with_access("x").get(ME)
    assert is_good(pair)
    assert holder.get(ME).status_code == 200


@within_one_minute
def test_other_addresses_are_not_held_up(db: None) -> None:
    for _try in range(61):
        with_access("x").get(ME)
    assert with_access("x").get(ME, REMOTE_ADDR="192.0.2.7").status_code == 401

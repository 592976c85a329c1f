"""Short-lived access tokens are good where API tokens are: for proxies and resource servers."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import Membership
from accounts.throttling.process_counters import refusals
from apitokens.api.responses import answer_requirement
from apitokens.verification.refusals import Requirement
from apitokens.verification.verifier_keys import issue_verifier
from apitokens.verification.verify import verify_from_cache
from tests.accounts.jwt.conftest import ME, REFRESH, log_in

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def access(engineer: Membership) -> str:
    return str(log_in(engineer.user.email).json()["access"])


def verify(access: str, query: str = "") -> Any:
    return Client(headers={"Authorization": f"bearer {access}"}).get(f"/iam/auth/verify{query}")


def introspect(access: str, caller: str) -> dict[str, Any]:
    told = Client(headers={"Authorization": f"Bearer {caller}"}).post(
        "/iam/auth/introspect", f"token={access}", content_type=FORM
    )
    return dict(told.json())


def test_proxies_are_told_whose_it_is(engineer: Membership, access: str) -> None:
    told = verify(access)

    assert {name: value for name, value in told.items() if name.startswith("X-Auth-")} == {
        "X-Auth-Token-Id": "",
        "X-Auth-Account-Id": str(engineer.account_id),
        "X-Auth-User-Id": str(engineer.user_id),
        "X-Auth-User-Email": engineer.user.email,
        "X-Auth-Role": "Engineers",
        "X-Auth-Scopes": "*",
    }


def test_role_is_looked_at(access: str) -> None:
    assert verify(access, "?role=Engineers").status_code == 200
    assert verify(access, "?role=Administrators").status_code == 403


def test_it_ends_with_the_membership(
    administrator: Membership, engineer: Membership, access: str, now: datetime
) -> None:
    members.remove_member(membership=engineer, by=Actor.member(administrator), at=now)

    told = verify(access)
    assert (told.status_code, told.json()["code"]) == (401, "unknown")


def test_what_is_not_ours_is_refused(access: str) -> None:
    assert verify(access[:-4] + "AAAA").status_code == 401


def test_it_is_never_answered_from_memory_alone(access: str, now: datetime) -> None:
    verify(access)
    header = f"Bearer {access}"
    assert (
        answer_requirement(
            Requirement(), authorization=header, at=now, address=None, verify=verify_from_cache
        )
        is None
    )


def test_resource_servers_are_told_whose_it_is(
    engineer: Membership, access: str, now: datetime
) -> None:
    caller = issue_verifier(name="Video storage", by=OPERATOR, at=now).key.spell("_")

    told = introspect(access, caller)
    assert (told["active"], told["token_type"]) == (True, "Bearer")
    assert (told["sub"], told["account"]) == (str(engineer.user_id), engineer.account_id)
    assert introspect(access[:-4] + "AAAA", caller) == {"active": False}


def forge(token: str) -> str:
    return token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")


@pytest.mark.parametrize("token", ["access", "refresh"])
def test_token_that_has_ended_is_no_guess_and_a_forged_one_is(
    engineer: Membership, now: datetime, settings: Settings, token: str
) -> None:
    """A forgotten job must not shut out the others at its address."""
    settings.REFUSAL_RATE = 5
    pair = log_in(engineer.user.email).json()
    Membership.objects.filter(pk=engineer.pk).update(removed_at=now)

    def send(access: str, refresh: str) -> list[int]:
        """To each place that takes one; where another kind is sent it is not good either."""
        client = Client(headers={"Authorization": f"Bearer {access}"})
        answers = [client.get("/iam/auth/verify"), client.get(ME)]
        body = {"refresh": refresh}
        answers.append(Client().post(REFRESH, body, "application/json"))
        return [answer.status_code for answer in answers]

    for _time in range(settings.REFUSAL_RATE):
        assert send(pair[token], pair[token]) == [401] * 3
    assert sum(count.total for count in refusals._counts.values()) == 0

    forged = forge(pair[token])
    assert send(forged, forged) == [401] * 3
    assert send(forged, forged) == [401] * 2 + [429]


def test_expired_one_is_no_guess(access: str, now: datetime, settings: Settings) -> None:
    settings.REFUSAL_RATE = 1
    later = now + timedelta(days=30)
    with time_machine.travel(later, tick=False):
        assert [verify(access).status_code for _time in range(3)] == [401] * 3

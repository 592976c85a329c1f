"""A process whose peppers are not those of the database does not serve, and says why."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InternalError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from psycopg.errors import ReadOnlySqlTransaction
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from apitokens.cache.token_caches import TOKENS
from apitokens.models import APIToken, PepperCheck
from apitokens.pepper_checks import PepperGuard, WrongPeppers, faults, require_right_peppers
from apitokens.tokens import rotation
from apitokens.tokens import services as token_services
from apitokens.tokens.rotation import Grace
from apitokens.verification.verifier_keys import issue_verifier
from apitokens.verification.verify import verify
from config.server.peppers import require_right_peppers as guarded
from tests.config.fast_path.test_verify import environ, nobody, say
from tests.conftest import Issue

pytestmark = [pytest.mark.both, pytest.mark.django_db]

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
RING = {1: OLD, 2: NEW}
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture(autouse=True)
def peppers(settings: Settings) -> Settings:
    settings.TOKEN_PEPPERS = {1: OLD}
    return settings


def recorded() -> list[int]:
    rows = PepperCheck.objects.exclude(number=PepperCheck.SECRET_KEY).order_by("number")
    return list(rows.values_list("number", flat=True))


# --- Which one is for new digests ---


def test_first_listed_is_for_new_digests_and_not_the_highest(
    peppers: Settings, user: Membership, issue: Issue, now: datetime
) -> None:
    """So a new pepper is made known to all processes before any of them uses it, and is promoted by
    being listed first."""
    former = issue(user)
    peppers.TOKEN_PEPPERS = {1: OLD, 2: NEW}  # distributed
    assert issue(user).token.pepper == 1
    assert issue_verifier(name="Shop", by=OPERATOR, at=now).verifier.pepper == 1

    peppers.TOKEN_PEPPERS = {2: NEW, 1: OLD}  # promoted, in this process
    promoted = issue(user)
    assert promoted.token.pepper == 2
    assert verify(presented=former.key.spell(), at=now).token_id == former.token.pk
    former.token.refresh_from_db()
    assert former.token.pepper == 2, "it is renewed when it is used"

    peppers.TOKEN_PEPPERS = {1: OLD, 2: NEW}  # and not yet in another one
    for issued in (former, promoted):
        TOKENS.forget_all()
        assert verify(presented=issued.key.spell(), at=now).token_id == issued.token.pk


# --- What the database knows ---


def test_first_start_makes_the_peppers_known_and_no_secret_is_kept(
    peppers: Settings, now: datetime
) -> None:
    peppers.TOKEN_PEPPERS = RING
    require_right_peppers(at=now)
    require_right_peppers(at=now + timedelta(days=1))
    assert recorded() == [1, 2]
    for row in PepperCheck.objects.exclude(number=PepperCheck.SECRET_KEY):
        assert row.first_seen_at == now
        assert len(bytes(row.check_value)) == 32
        assert bytes(row.check_value) not in RING.values()


def test_wrong_pepper_under_a_known_number_is_told(peppers: Settings, now: datetime) -> None:
    require_right_peppers(at=now)
    peppers.TOKEN_PEPPERS = {1: OTHER, 2: NEW}
    with pytest.raises(WrongPeppers, match=r"^Pepper 1 of this process is not the one ") as wrong:
        require_right_peppers(at=now)
    assert OTHER.hex() not in str(wrong.value)
    assert recorded() == [1]


def test_new_pepper_may_be_distributed_and_promoted(peppers: Settings, now: datetime) -> None:
    for ring in ({1: OLD}, {1: OLD, 2: NEW}, {1: OLD}, {2: NEW, 1: OLD}, {1: OLD, 2: NEW}):
        peppers.TOKEN_PEPPERS = ring
        require_right_peppers(at=now)


def test_of_two_that_start_together_the_second_is_wrong(peppers: Settings, now: datetime) -> None:
    """The other process records its pepper after this one has looked."""

    def first_the_other(checks: Any, **facts: Any) -> Any:
        peppers.TOKEN_PEPPERS, mine = {1: OTHER}, peppers.TOKEN_PEPPERS
        with patch.object(manager, "bulk_create", create):
            require_right_peppers(at=now)
        peppers.TOKEN_PEPPERS = mine
        return create(checks, **facts)

    manager = PepperCheck.objects
    create = manager.bulk_create
    with patch.object(manager, "bulk_create", first_the_other), pytest.raises(WrongPeppers):
        require_right_peppers(at=now)
    peppers.TOKEN_PEPPERS = {1: OTHER}
    require_right_peppers(at=now)


def postgresql_is_read_only() -> DatabaseError:
    error = InternalError("cannot execute INSERT in a read-only transaction")
    error.__cause__ = ReadOnlySqlTransaction()
    return error


def sqlite_is_read_only() -> DatabaseError:
    return OperationalError("attempt to write a readonly database")


@pytest.mark.parametrize("error", [postgresql_is_read_only, sqlite_is_read_only])
def test_read_only_database_lets_right_peppers_serve(
    peppers: Settings, now: datetime, error: Callable[[], DatabaseError]
) -> None:
    require_right_peppers(at=now)
    peppers.TOKEN_PEPPERS = RING
    with patch.object(PepperCheck.objects, "bulk_create", side_effect=error()):
        require_right_peppers(at=now)
        peppers.TOKEN_PEPPERS = {1: OTHER}
        with pytest.raises(WrongPeppers):
            require_right_peppers(at=now)


def test_database_that_breaks_off_is_asked_again(peppers: Settings, now: datetime) -> None:
    guard = PepperGuard()
    lost = OperationalError("the connection is lost")
    with patch.object(PepperCheck.objects, "bulk_create", side_effect=lost):
        refused = [guard.refusal()]
        confirmed = [guard.is_confirmed]

    refused.append(guard.refusal())
    confirmed.append(guard.is_confirmed)

    assert (refused, confirmed) == ([None, None], [False, True])
    assert recorded() == list(peppers.TOKEN_PEPPERS)


# --- SECRET_KEY ---


def test_process_with_another_secret_key_is_told(peppers: Settings, now: datetime) -> None:
    require_right_peppers(at=now)
    peppers.SECRET_KEY = "another" * 8
    with pytest.raises(WrongPeppers, match=r"^Neither SECRET_KEY nor one of ") as wrong:
        require_right_peppers(at=now)
    assert peppers.SECRET_KEY not in str(wrong.value)
    assert faults(now) == [str(wrong.value)]
    assert "apitokens.E002" in [each.id for each in run_checks(databases=["default"])]


def test_new_secret_key_goes_from_process_to_process(peppers: Settings, now: datetime) -> None:
    """Distributed as a fallback, then promoted, then alone: nobody is ever refused."""
    steps: list[tuple[str, list[str]]] = [
        *(("old", []), ("old", ["new"]), ("old", []), ("old", ["new"]), ("new", ["old"])),
        *(("old", ["new"]), ("new", ["old"]), ("new", []), ("new", ["old"])),
    ]
    for peppers.SECRET_KEY, peppers.SECRET_KEY_FALLBACKS in steps:
        require_right_peppers(at=now)

    peppers.SECRET_KEY, peppers.SECRET_KEY_FALLBACKS = "old", []
    with pytest.raises(WrongPeppers):
        require_right_peppers(at=now)


def test_lost_secret_key_can_be_replaced(peppers: Settings, now: datetime) -> None:
    require_right_peppers(at=now)
    peppers.SECRET_KEY = "another" * 8

    call_command("accept_secret_key")

    require_right_peppers(at=now)


# --- What living keys depend on ---


def test_way_back_from_a_lost_pepper(
    user: Membership, issue: Issue, peppers: Settings, now: datetime
) -> None:
    """As the README tells it: a new number, and an end to what depends on the old one."""
    peppers.TOKEN_PEPPERS = {1: OLD}
    require_right_peppers(at=now)
    issue(user)
    peppers.TOKEN_PEPPERS = {1: NEW}
    with pytest.raises(WrongPeppers, match="needs a number that was never used"):
        require_right_peppers(at=now)
    peppers.TOKEN_PEPPERS = {2: NEW}
    with pytest.raises(WrongPeppers, match="revoke_tokens --pepper 1"):
        require_right_peppers(at=now)

    call_command("revoke_tokens", pepper="1", yes=True)

    require_right_peppers(at=now)
    found = run_checks(databases=["default"], include_deployment_checks=False)
    assert [each for each in found if not each.is_silenced()] == []


@pytest.mark.parametrize("ring", [{2: NEW}, {2: NEW, 3: OTHER}, {3: OTHER}])
def test_pepper_that_living_tokens_use_may_not_be_missing(
    user: Membership, issue: Issue, peppers: Settings, now: datetime, ring: dict[int, bytes]
) -> None:
    issue(user)
    peppers.TOKEN_PEPPERS = ring
    with pytest.raises(WrongPeppers, match="depend on pepper 1, which TOKEN_PEPPERS lacks"):
        require_right_peppers(at=now)


@pytest.mark.parametrize("number", [1, 3, 5, 9999])
def test_missing_number_is_found_wherever_it_lies(
    user: Membership, issue: Issue, peppers: Settings, now: datetime, number: int
) -> None:
    peppers.TOKEN_PEPPERS = {number: OLD}
    issue(user)
    peppers.TOKEN_PEPPERS = {4: NEW, 2: OTHER}
    assert [sentence.split(",")[0] for sentence in faults(now)] == [
        f"Tokens or verifier keys in use depend on pepper {number}"
    ]


def test_pepper_that_a_verifier_key_uses_may_not_be_missing(
    peppers: Settings, now: datetime
) -> None:
    issue_verifier(name="Storage", by=OPERATOR, at=now)
    peppers.TOKEN_PEPPERS = {2: NEW}
    assert len(faults(now)) == 1


def test_old_pepper_may_retire_when_no_living_key_uses_it(
    user: Membership, issue: Issue, peppers: Settings, now: datetime
) -> None:
    require_right_peppers(at=now)
    deleted = issue(user).token
    token_services.delete(token=deleted, by=Actor.member(user), at=now)
    issue(user, at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    peppers.TOKEN_PEPPERS = {2: NEW}
    require_right_peppers(at=now)
    assert recorded() == [1, 2]


def test_question_is_as_short_with_many_tokens(
    user: Membership, issue: Issue, peppers: Settings, now: datetime
) -> None:
    issue(user)
    with CaptureQueriesContext(connection) as queries:
        assert faults(now) == []
    assert len(queries) == 2
    asked = next(query["sql"] for query in queries if APIToken._meta.db_table in query["sql"])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {asked}")
        assert "token_by_pepper" in str(cursor.fetchall())


# --- Who is told ---


def test_health_turns_red_and_says_why(client: Client, peppers: Settings, now: datetime) -> None:
    require_right_peppers(at=now)
    assert client.get("/healthz").json()["faults"] == []
    peppers.TOKEN_PEPPERS = {1: OTHER}
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "misconfigured")
    assert answer.json()["faults"][0].startswith("Pepper 1 of this process ")


def test_commands_that_make_keys_refuse(user: Membership, peppers: Settings, now: datetime) -> None:
    require_right_peppers(at=now)
    peppers.TOKEN_PEPPERS = {1: OTHER}
    with pytest.raises(CommandError, match="Pepper 1 of this process"):
        call_command("issue_verifier", "Storage")
    with pytest.raises(CommandError, match="Pepper 1 of this process"):
        call_command(
            "issue_token",
            *("--account", str(user.account_id), "--issuer", user.user.email),
            *("--role", "Users", "--name", "x"),
        )


def test_check_of_the_database_says_so(peppers: Settings, now: datetime) -> None:
    def said() -> list[str]:
        messages = run_checks(databases=["default"])
        return [message.msg for message in messages if message.id == "apitokens.E002"]

    require_right_peppers(at=now)
    assert said() == []
    peppers.TOKEN_PEPPERS = {1: OTHER}
    assert len(said()) == 1
    assert recorded() == [1]


# --- The process ---


@pytest.fixture
def away() -> Iterator[None]:
    """A database that does not answer."""
    with patch("apitokens.pepper_checks.faults", side_effect=OperationalError("away")):
        yield


def status(serve: Any, path: str = "/iam/auth/verify") -> str:
    return say(serve, environ("APIKey x") | {"PATH_INFO": path}).status


def test_process_with_wrong_peppers_does_not_start(peppers: Settings, now: datetime) -> None:
    require_right_peppers(at=now)
    peppers.TOKEN_PEPPERS = {1: OTHER}
    with pytest.raises(SystemExit, match=r"does not serve\. Pepper 1 of this process"):
        guarded(nobody)


def test_process_starts_while_the_database_is_away(away: None) -> None:
    assert status(guarded(nobody)) == "599 Django was asked"


def test_process_that_started_without_the_database_refuses_once_it_answers(
    peppers: Settings, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    require_right_peppers(at=now)
    peppers.TOKEN_PEPPERS = {1: OTHER}
    with patch("apitokens.pepper_checks.faults", side_effect=OperationalError("away")):
        serve = guarded(nobody)
    assert status(serve) == "503 Service Unavailable"
    assert "Pepper 1 of this process" in capsys.readouterr().err
    assert status(serve, "/healthz") == "599 Django was asked"
    peppers.TOKEN_PEPPERS = {1: OLD}
    assert status(serve) == "599 Django was asked"


def test_process_asks_no_more_once_its_peppers_are_right(now: datetime) -> None:
    serve = guarded(nobody)
    with CaptureQueriesContext(connection) as queries:
        status(serve)
    assert not queries.captured_queries


def test_whatever_hinders_the_question_does_not_hinder_the_start(away: None) -> None:
    guard = PepperGuard()
    with patch("apitokens.pepper_checks.faults", side_effect=RuntimeError):
        assert guard.refusal_at_start() is None
    assert not guard.is_confirmed


def test_old_secret_that_works_needs_its_pepper_until_it_ends(
    user: Membership, issue: Issue, peppers: Settings, now: datetime
) -> None:
    token, _key = issue(user)
    peppers.TOKEN_PEPPERS = {2: NEW, 1: OLD}
    rotation.rotate(token=token, by=Actor.member(user), at=now, grace=Grace.HOUR)
    peppers.TOKEN_PEPPERS = {2: NEW}
    assert [fault for fault in faults(now) if "depend on pepper 1" in fault]
    assert not [fault for fault in faults(now + timedelta(hours=1)) if "pepper 1" in fault]
    call_command("revoke_tokens", pepper=1, yes=True)
    assert APIToken.objects.get(pk=token.pk).is_deleted
    assert not [fault for fault in faults(now) if "pepper 1" in fault]

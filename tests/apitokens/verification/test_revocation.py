"""How long other processes believe in a token that has ended: real ones, on a shared database.

The bound must hold with Redis, without it, and while Redis is gone: nothing of it is needed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.members import suspension
from accounts.models import Membership
from accounts.sign_in import services as sign_in_services
from accounts.users import services as people
from apitokens.cache.token_caches import TOKENS
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import rotation
from apitokens.tokens import services as token_services
from apitokens.tokens.rotation import Grace
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify, verify_from_cache
from tests.concurrency import shared_database_url
from tests.conftest import Issue
from tests.factories import MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]

PROCESSES = 3
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
End = Callable[[APIToken], object]


class Workers:
    """Processes that ask about tokens. Those with the same settings serve all tests that want them:
    starting them takes longer than what they do."""

    def __init__(self) -> None:
        self._running: dict[frozenset[tuple[str, str]], list[subprocess.Popen[str]]] = {}

    @contextmanager
    def asking(self, key: Key, **environment: str) -> Iterator[list[dict[str, Any]]]:
        """Let several ask about the token until it is refused; fills in what they saw."""
        workers = self._with({"DATABASE_URL": shared_database_url(), **environment})
        seen: list[dict[str, Any]] = []
        try:
            for worker in workers:
                assert worker.stdin
                worker.stdin.write(f"{key.spell()}\n")
                worker.stdin.flush()
            for worker in workers:
                assert worker.stdout
                assert worker.stdout.readline() == "ready\n"
            yield seen
            seen += [json.loads(worker.stdout.readline()) for worker in workers if worker.stdout]
        except BaseException:  # a late answer must not be that to the next question
            self.end()
            raise

    def _with(self, environment: dict[str, str]) -> list[subprocess.Popen[str]]:
        settings = frozenset(environment.items())
        if settings not in self._running:
            self._running[settings] = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.verify_worker"],
                    env={**os.environ, **environment},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for _process in range(PROCESSES)
            ]
        return self._running[settings]

    def end(self) -> None:
        for workers in self._running.values():
            for worker in workers:
                worker.kill()
                worker.wait()
        self._running.clear()


@pytest.fixture(scope="session")
def workers(django_db_setup: None) -> Iterator[Workers]:
    """They are gone before the database is."""
    workers = Workers()
    yield workers
    workers.end()


def delete(token: APIToken) -> None:
    token_services.delete(token=token, by=OPERATOR, at=timezone.now())


def deactivate_issuer(token: APIToken) -> None:
    people.deactivate_user(user=token.issuer.user, by=OPERATOR, at=timezone.now())


def close_account(token: APIToken) -> None:
    account_services.close_account(account=token.account, by=OPERATOR, at=timezone.now())


def suspend(token: APIToken) -> None:
    """Its issuer has stayed away from their account's identity provider for too long."""
    at = timezone.now()
    Membership.objects.filter(pk=token.issuer_id).update(sso_at=at)
    issuer = Membership.objects.get(pk=token.issuer_id)
    suspension.suspend_tokens(membership=issuer, by=OPERATOR, at=at)


def rotate_without_grace(token: APIToken) -> None:
    rotation.rotate(token=token, by=OPERATOR, at=timezone.now(), grace=Grace.NONE)


def rotate_and_end_the_old_secret(token: APIToken) -> None:
    rotation.rotate(token=token, by=OPERATOR, at=timezone.now())
    rotation.end_old_secret(token=token, by=OPERATOR, at=timezone.now())


def end_by_hand(token: APIToken) -> None:
    """Write to the database past all services."""
    APIToken.objects.filter(pk=token.pk).update(deleted_at=timezone.now())


@pytest.mark.parametrize("redis", ["without Redis", "with Redis", "with a Redis that is gone"])
@pytest.mark.parametrize("end", [delete, deactivate_issuer])
def test_no_process_finds_an_ended_token_good_for_longer_than_a_second(
    workers: Workers, user: Membership, issue: Issue, redis_url: str, end: End, redis: str
) -> None:
    token, key = issue(user)
    urls = {"without Redis": "", "with Redis": redis_url}
    url = urls.get(redis, "redis://127.0.0.1:1/0")

    with workers.asking(key, REDIS_URL=url) as seen:
        end(token)
        ended_at = time.monotonic()

    assert [each["refusal"] != "" for each in seen] == [True] * PROCESSES
    assert max(each["good_until"] - ended_at for each in seen) < 1


@pytest.mark.parametrize(
    "end",
    [
        *(close_account, suspend, end_by_hand),
        *(rotate_without_grace, rotate_and_end_the_old_secret),
    ],
)
def test_however_a_token_ends_the_bound_is_the_same(
    workers: Workers, user: Membership, issue: Issue, end: End
) -> None:
    token, key = issue(user)
    with workers.asking(key) as seen:
        end(token)
        ended_at = time.monotonic()
    assert all(each["refusal"] for each in seen)
    assert max(each["good_until"] - ended_at for each in seen) < 1


def test_smaller_bound_is_held_too(workers: Workers, user: Membership, issue: Issue) -> None:
    token, key = issue(user)
    with workers.asking(key, VERIFY_CACHE_SECONDS="0.2") as seen:
        delete(token)
        ended_at = time.monotonic()
    assert max(each["good_until"] - ended_at for each in seen) < 0.2


def test_with_a_bound_of_zero_nobody_finds_an_ended_token_good(
    workers: Workers, user: Membership, issue: Issue
) -> None:
    token, key = issue(user)
    with workers.asking(key, VERIFY_CACHE_SECONDS="0") as seen:
        delete(token)
        ended_at = time.monotonic()
    assert max(each["good_until"] - ended_at for each in seen) <= 0


# --- The process that did it --------------------------------------------------------------------


@pytest.fixture
def remembered(user: Membership, issue: Issue, settings: Settings) -> tuple[APIToken, Key]:
    """A token that this process has in memory, for longer than any lease of the portal's."""
    settings.VERIFY_CACHE_SECONDS = 60
    token, key = issue(user)
    for _time in range(2):
        verify(presented=key.spell(), at=timezone.now())
    assert len(TOKENS) == 1
    return token, key


def is_good(key: Key) -> bool:
    try:
        verify(presented=key.spell(), at=timezone.now())
    except Refused:
        return False
    return True


@pytest.mark.parametrize("end", [delete, deactivate_issuer, close_account])
def test_own_process_knows_at_once(remembered: tuple[APIToken, Key], end: End) -> None:
    token, key = remembered
    end(token)
    assert not is_good(key)


def test_removed_issuers_token_stops_at_once(
    administrator: Membership,
    user: Membership,
    issue: Issue,
    now: datetime,
    settings: Settings,
) -> None:
    settings.VERIFY_CACHE_SECONDS = 60
    token, key = issue(user, at=now - timedelta(days=2), expires_at=now + timedelta(days=1))
    verify(presented=key.spell(), at=now)
    APIToken.objects.filter(pk=token.pk).update(expires_at=now - timedelta(hours=1))
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    APIToken.objects.filter(pk=token.pk).update(expires_at=None)
    assert not is_good(key)


def test_restored_issuers_token_works_again_at_once(remembered: tuple[APIToken, Key]) -> None:
    token, key = remembered
    deactivate_issuer(token)
    assert not is_good(key)
    people.reactivate_user(user=token.issuer.user, by=OPERATOR, at=timezone.now())
    assert is_good(key)


def test_reopened_accounts_token_works_again_at_once(remembered: tuple[APIToken, Key]) -> None:
    token, key = remembered
    close_account(token)
    assert not is_good(key)
    account_services.reopen_account(account=token.account, by=OPERATOR, at=timezone.now())
    assert is_good(key)


def test_new_address_of_the_issuer_is_told_at_once(remembered: tuple[APIToken, Key]) -> None:
    token, key = remembered
    at = timezone.now()
    sign_in_services.change_email(
        user=token.issuer.user, email="new@example.com", by=OPERATOR, at=at
    )
    assert verify(presented=key.spell(), at=at).email == "new@example.com"


def test_expiry_is_compared_at_every_look_into_memory(
    user: Membership, issue: Issue, now: datetime, settings: Settings
) -> None:
    settings.VERIFY_CACHE_SECONDS = 60
    ends = now + timedelta(hours=1)
    _token, key = issue(user, expires_at=ends)
    for _time in range(2):
        verify(presented=key.spell(), at=now)
    assert verify_from_cache(presented=key.spell(), at=ends - timedelta(microseconds=1))
    with pytest.raises(Refused):
        verify(presented=key.spell(), at=ends)


def test_deletion_of_one_token_leaves_the_others_in_memory(
    remembered: tuple[APIToken, Key], issue: Issue
) -> None:
    _token, key = remembered
    other, _key = issue(MembershipFactory.create())
    delete(other)
    assert verify_from_cache(presented=key.spell(), at=timezone.now())


def test_refusals_of_a_dead_token_need_the_database_no_more_than_a_good_ones(
    remembered: tuple[APIToken, Key], django_assert_num_queries: Any
) -> None:
    token, key = remembered
    delete(token)
    assert not is_good(key)
    with django_assert_num_queries(0):
        assert not is_good(key)


def test_wrong_secrets_and_unknown_ids_are_looked_up_once_in_a_lease(
    remembered: tuple[APIToken, Key], django_assert_num_queries: Any
) -> None:
    """Alike, whether the token is in memory, in the database or nowhere."""
    _token, key = remembered
    for strange in (Key(key.id, "0" * 64), Key(771_142_358, "0" * 64)):
        with django_assert_num_queries(1):
            assert not is_good(strange)
        with django_assert_num_queries(0):
            assert not is_good(strange)


def test_wrong_secrets_do_not_push_the_good_one_out_of_memory(
    remembered: tuple[APIToken, Key], django_assert_num_queries: Any
) -> None:
    _token, key = remembered
    assert not is_good(Key(key.id, "0" * 64))
    with django_assert_num_queries(0):
        assert is_good(key)
        assert not is_good(Key(key.id, "1" * 64))
        assert is_good(key)

"""When the answer to a deletion arrives, no process of any host says yes to that token any more.

Real processes of two hosts (two data folders, one PostgreSQL) ask while tokens are deleted. On
SQLite there is one host.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as portal_settings
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.members import suspension
from accounts.models import Membership
from accounts.roles import Role
from accounts.service_accounts import services as service_accounts
from accounts.users import services as people
from apitokens.cache import hosts, in_force, messages
from apitokens.cache.marks import marks
from apitokens.keys import Key
from apitokens.models import APIToken, VerifyingHost
from apitokens.tokens import editing, handover, rotation
from apitokens.tokens import services as token_services
from apitokens.tokens.rotation import Grace
from apitokens.tokens.rules import with_issuers
from apitokens.verification import verifier_keys
from config.database.places import places
from tests import environment, services
from tests.concurrency import shared_database_url
from tests.conftest import Api, Issue, is_on_postgresql
from tests.factories import service_account

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


class Askers:
    """Processes that ask about tokens, half of them on another host if there is one."""

    def __init__(self, folders: list[Path], number: int, **variables: str) -> None:
        peppers = (f"{number}:{key.hex()}" for number, key in portal_settings.TOKEN_PEPPERS.items())
        shared = {
            "DATABASE_URL": shared_database_url(),
            "SECRET_KEY": portal_settings.SECRET_KEY,
            "TOKEN_PEPPERS": ",".join(peppers),
            **variables,
        }
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.many_tokens_worker"],
                env={**os.environ, **shared, "DATA_DIR": str(folders[each % len(folders)])},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for each in range(number)
        ]

    def ask(self, keys: list[Key]) -> None:
        """Let them ask about all of these; returns when each has found all of them in memory."""
        self._write(json.dumps([key.spell() for key in keys]))
        assert {self._read(each) for each in self._processes} == {"ready"}

    def stop(self) -> list[dict[str, Any]]:
        self._write("stop")
        return [json.loads(self._read(each)) for each in self._processes]

    def _write(self, line: str) -> None:
        for each in self._processes:
            assert each.stdin
            each.stdin.write(f"{line}\n")
            each.stdin.flush()

    def _read(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdout
        return process.stdout.readline().strip()

    def end(self) -> None:
        for each in self._processes:
            each.kill()
            each.wait()


@contextlib.contextmanager
def asking(folders: list[Path], *, number: int = 8, **variables: str) -> Iterator[Askers]:
    askers = Askers(folders, number, **variables)
    try:
        yield askers
    finally:
        askers.end()
        if is_on_postgresql():
            VerifyingHost.objects.all().delete()
            marks().distrust()


def count_yeses_after_answers(
    askers: Askers, issued: list[tuple[APIToken, Key]], *, threads: int = 1
) -> tuple[int, list[float]]:
    """Delete the tokens while all ask. Returns how often a token was good in a call that began
    after the answer, and how long each answer took."""
    askers.ask([key for _token, key in issued])
    answered: dict[str, float] = {}

    def delete(token: APIToken, key: Key) -> float:
        began = time.monotonic()
        try:
            token_services.delete(token=token, by=OPERATOR, at=timezone.now())
            answered[key.spell()] = time.monotonic()
        finally:
            if threads > 1:
                connection.close()
        return answered[key.spell()] - began

    if threads == 1:
        took = [delete(token, key) for token, key in issued]
    else:
        with ThreadPoolExecutor(threads) as pool:
            took = list(pool.map(lambda each: delete(*each), issued))
    time.sleep(0.2)  # a second look of all at what has ended
    late = sum(
        good_until > answered[token]
        for seen in askers.stop()
        for token, good_until in seen["good_until"].items()
    )
    return late, took


def issue_many(issue: Issue, user: Membership, number: int) -> list[tuple[APIToken, Key]]:
    user.account.token_limit = number + 1
    user.account.save()
    issued = [issue(user, at=timezone.now()) for _token in range(number)]
    APIToken.objects.update(last_used_at=timezone.now())  # a first use would be written
    return [(each.token, each.key) for each in issued]


@pytest.fixture
def two_hosts(tmp_path: Path) -> list[Path]:
    if not is_on_postgresql():
        pytest.skip("SQLite has one host")
    return [environment.DATA_DIR, tmp_path]


@pytest.fixture
def use_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have this process tell others by this Redis; the askers learn of it from their settings."""

    def use(url: str) -> None:
        settings.REDIS_URL = url
        messages._client.cache_clear()

    monkeypatch.setattr(messages, "listen", lambda _known: None)  # it would go on after the test
    return use


def test_one_host_says_yes_to_nothing_that_has_ended(
    user: Membership, issue: Issue, record_property: Any
) -> None:
    with asking([environment.DATA_DIR], number=4, REDIS_URL="") as askers:
        late, took = count_yeses_after_answers(askers, issue_many(issue, user, 20))
    record_property("milliseconds of a deletion on one host", statistics.median(took) * 1000)
    assert late == 0


def test_two_hosts_say_yes_to_nothing_that_has_ended(
    user: Membership,
    issue: Issue,
    two_hosts: list[Path],
    use_redis: Callable[[str], None],
    settings: Settings,
    record_property: Any,
) -> None:
    settings.VERIFY_CACHE_SECONDS = lease = 0.5
    with (
        services.redis() as url,
        asking(two_hosts, REDIS_URL=url, VERIFY_CACHE_SECONDS=str(lease)) as askers,
    ):
        use_redis(url)
        late, took = count_yeses_after_answers(askers, issue_many(issue, user, 20))
        record_property("milliseconds of a deletion with Redis", statistics.median(took) * 1000)
        assert late == 0
        assert min(took) < lease  # the other host was heard
        with hanging(url):
            late, took = count_yeses_after_answers(askers, issue_many(issue, user, 4))
            assert (late, min(took) > lease) == (0, True)
        use_redis("")
        late, took = count_yeses_after_answers(askers, issue_many(issue, user, 4))
        assert (late, min(took) > lease) == (0, True)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("redis", ["without Redis", "with Redis", "with a Redis that hangs"])
def test_of_2000_deletions_none_is_followed_by_a_yes(
    user: Membership,
    issue: Issue,
    two_hosts: list[Path],
    use_redis: Callable[[str], None],
    record_property: Any,
    redis: str,
) -> None:
    with contextlib.ExitStack() as stack:
        url = "" if redis == "without Redis" else stack.enter_context(services.redis())
        use_redis(url)
        askers = stack.enter_context(asking(two_hosts, REDIS_URL=url))
        if "hangs" in redis:
            stack.enter_context(hanging(url))
        threads = 1 if redis == "with Redis" else 20
        late, took = 0, list[float]()
        for _round in range(20):
            issued = issue_many(issue, user, 100)
            more, took_each = count_yeses_after_answers(askers, issued, threads=threads)
            late, took = late + more, took + took_each
    record_property(f"milliseconds of a deletion {redis}", statistics.median(took) * 1000)
    assert (late, len(took)) == (0, 2000)


@contextlib.contextmanager
def hanging(url: str) -> Iterator[None]:
    """This Redis is stopped: it takes connections, and answers nothing."""
    with Redis.from_url(url) as client:
        process = int(client.info()["process_id"])
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


# --- What waits, and when -----------------------------------------------------------------------

Waits = list[set[int]]
"""The marks of each wait."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """The waits for another host, which tells nothing: its leases are over soon."""
    seen: Waits = []
    wait = in_force._Pending.wait
    in_force._thread.ended.clear()  # of tests before, whose transactions were undone

    def note(pending: in_force._Pending) -> None:
        if pending.leases_end:
            assert not connection.in_atomic_block
            assert places.all.inside == 0
            seen.append(set(pending.places))
        wait(pending)

    monkeypatch.setattr(hosts, "others", lambda _known: {77: 0.01})
    monkeypatch.setattr(in_force._Pending, "wait", note)
    return seen


def change_role(token: APIToken) -> None:
    APIToken.objects.filter(pk=token.pk).update(role=Role.USERS)
    members.change_role(membership=token.issuer, role=Role.USERS, by=OPERATOR, at=timezone.now())


def remove(token: APIToken) -> None:
    member, at = token.issuer, timezone.now()
    members.remove_member(membership=member, delete_tokens=True, by=OPERATOR, at=at)


def suspend(token: APIToken) -> None:
    at = timezone.now()
    Membership.objects.filter(pk=token.issuer_id).update(sso_at=at)
    member = Membership.objects.get(pk=token.issuer_id)
    suspension.suspend_tokens(membership=member, by=OPERATOR, at=at)


def turn_off(token: APIToken) -> None:
    at = timezone.now()
    account = service_account(token.account, at=at, name="Nightly")
    APIToken.objects.filter(pk=token.pk).update(issuer=account.membership)
    service_accounts.switch(service_account=account, is_on=False, by=OPERATOR, at=at)


def end_old_secret(token: APIToken) -> None:
    rotation.end_old_secret(token=token, by=OPERATOR, at=timezone.now())


def end_earlier(token: APIToken) -> None:
    at = timezone.now()
    changes: editing.Changes = {"expires_at": at + timedelta(hours=1)}
    editing.edit(token=token, changes=changes, by=OPERATOR, at=at)


ENDS: dict[str, Callable[[APIToken], object]] = {
    "deletion": lambda token: token_services.delete(token=token, by=OPERATOR, at=timezone.now()),
    "deletion of some": lambda token: token_services.delete_all(
        tokens=[token], by=OPERATOR, at=timezone.now()
    ),
    "deletion of those selected": lambda token: token_services.delete_selected(
        account=token.account, token_ids=[token.pk], by=OPERATOR, at=timezone.now()
    ),
    "deletion of several": lambda token: token_services.delete_all_of(
        issuer=token.issuer, by=OPERATOR, at=timezone.now()
    ),
    "the command": lambda token: call_command("revoke_tokens", ids=[token.pk], yes=True),
    "a list of addresses": lambda token: editing.edit(
        token=token,
        changes={"allowed_addresses": ["203.0.113.7"]},
        by=OPERATOR,
        at=timezone.now(),
    ),
    "a lower role of the token": lambda token: editing.edit(
        token=token, changes={"role": Role.USERS}, by=OPERATOR, at=timezone.now()
    ),
    "a limit to scopes": lambda token: editing.edit(
        token=token, changes={"scopes": ["tokens:read"]}, by=OPERATOR, at=timezone.now()
    ),
    "an earlier end": end_earlier,
    "rotation": lambda token: rotation.rotate(
        token=token, by=OPERATOR, at=timezone.now(), grace=Grace.NONE
    ),
    "the end of the old secret": end_old_secret,
    "another role of the issuer": change_role,
    "removal": remove,
    "deactivation": lambda token: people.deactivate_user(
        user=token.issuer.user, by=OPERATOR, at=timezone.now()
    ),
    "suspension": suspend,
    "turning its service account off": turn_off,
    "closing": lambda token: account_services.close_account(
        account=token.account, by=OPERATOR, at=timezone.now()
    ),
}


AGAIN: dict[str, Callable[[APIToken], object]] = {
    "an earlier end": lambda token: editing.edit(
        token=token, changes={"expires_at": token.expires_at}, by=OPERATOR, at=timezone.now()
    ),
    "turning its service account off": lambda token: service_accounts.switch(
        service_account=token.issuer.service_account, is_on=False, by=OPERATOR, at=timezone.now()
    ),
}
"""How an end is repeated, where it is not done by the same words."""


def issue_weakened(engineer: Membership, issue: Issue, end: str, waits: Waits) -> APIToken:
    token, _key = issue(engineer, role=Role.ENGINEERS, at=timezone.now())
    if end == "the end of the old secret":
        rotation.rotate(token=token, by=OPERATOR, at=timezone.now())
        token.refresh_from_db()
        waits.clear()
    ENDS[end](token)
    return token


@pytest.mark.parametrize("end", ENDS)
def test_whatever_weakens_a_token_is_waited_for(
    engineer: Membership, administrator: Membership, issue: Issue, waits: Waits, end: str
) -> None:
    token = issue_weakened(engineer, issue, end, waits)
    assert waits
    assert all(token.pk % 4096 in places for places in waits)


@pytest.mark.parametrize("end", ENDS)
def test_what_finds_a_token_weakened_is_waited_for(
    engineer: Membership, administrator: Membership, issue: Issue, waits: Waits, end: str
) -> None:
    """Whoever did it may not have been heard yet, or have died after the commit."""
    token = issue_weakened(engineer, issue, end, waits)
    waits.clear()

    AGAIN.get(end, ENDS[end])(APIToken.objects.get(pk=token.pk))

    assert waits
    assert all(token.pk % 4096 in places for places in waits)


def test_ends_at_the_same_moment_are_both_waited_for(
    engineer: Membership, issue: Issue, waits: Waits
) -> None:
    """The standing of an issuer also ends what somebody has deleted and not yet told of."""
    token, _key = issue(engineer, at=timezone.now())
    APIToken.objects.filter(pk=token.pk).update(deleted_at=timezone.now())
    people.deactivate_user(user=engineer.user, by=OPERATOR, at=timezone.now())
    assert waits == [{token.pk % 4096}]


def test_new_issuer_is_waited_for(
    engineer: Membership, administrator: Membership, issue: Issue, waits: Waits
) -> None:
    """Who asks about the token hears whose it is. By whoever finds it handed over, too."""
    token, _key = issue(engineer, at=timezone.now())
    for _time in range(2):
        handover.hand_over(
            account=engineer.account,
            token_ids=[token.pk],
            to=administrator,
            by=OPERATOR,
            at=timezone.now(),
        )
    assert waits == [{token.pk % 4096}] * 2


def test_command_that_hands_over_in_parts_waits_once(
    engineer: Membership,
    administrator: Membership,
    issue: Issue,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "PART", 2)
    tokens = [issue(engineer, at=timezone.now()).token for _token in range(5)]
    call_command(
        "hand_over_tokens",
        account=engineer.account.name,
        former=engineer.user.email,
        receiver=administrator.user.email,
    )
    assert waits == [{token.pk % 4096 for token in tokens}]


FORM_KEY = uuid4()
REFUSED: dict[str, Callable[[APIToken], object]] = {
    "a form that has rotated it": lambda token: rotation.rotate(
        token=token, form_key=FORM_KEY, by=OPERATOR, at=timezone.now()
    ),
    "a rotation of the state before": lambda token: rotation.rotate(
        token=token, rotations=0, by=OPERATOR, at=timezone.now()
    ),
    "a rotation of what is deleted": lambda token: (
        APIToken.objects.filter(pk=token.pk).update(deleted_at=timezone.now()),
        rotation.rotate(token=token, by=OPERATOR, at=timezone.now()),
    ),
    "a change of what is deleted": lambda token: (
        APIToken.objects.filter(pk=token.pk).update(deleted_at=timezone.now()),
        editing.edit(token=token, changes={"name": "New"}, by=OPERATOR, at=timezone.now()),
    ),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_refusal_that_says_that_it_has_ended_is_waited_for(
    engineer: Membership, issue: Issue, waits: Waits, refused: str
) -> None:
    token, _key = issue(engineer, at=timezone.now())
    rotation.rotate(token=token, form_key=FORM_KEY, by=OPERATOR, at=timezone.now())
    waits.clear()
    with pytest.raises(ValidationError):
        REFUSED[refused](APIToken.objects.get(pk=token.pk))
    assert waits == [{token.pk % 4096}]


@pytest.mark.parametrize("what", ["user", "service account"])
def test_api_that_finds_nobody_to_remove_waits_as_for_the_removal(
    user: Membership,
    engineer: Membership,
    administrator: Membership,
    issue: Issue,
    waits: Waits,
    api: Api,
    what: str,
) -> None:
    at = timezone.now()
    member, place = engineer, "client-users"
    if what == "service account":
        member, place = (
            service_account(engineer.account, at=at, name="Nightly").membership,
            ("service_accounts"),
        )
    token, _key = issue(engineer, at=at)
    APIToken.objects.filter(pk=token.pk).update(issuer=member)
    key = issue(administrator, role=Role.ADMINISTRATORS, at=at).key
    remove(APIToken.objects.get(pk=token.pk))
    waits.clear()
    path = f"/iam/clients/{engineer.account_id}/{place}/{member.user_id}"
    assert api(key).delete(path).status_code == 404
    assert [token.pk % 4096 in places for places in waits] == [True]
    waits.clear()
    assert api(issue(user, at=at).key).delete(path).status_code in (403, 404)
    assert not waits  # who may remove nobody has nobody wait


def test_page_that_finds_its_tokens_deleted_waits_as_for_the_deletion(
    engineer: Membership, issue: Issue, waits: Waits, client: Client
) -> None:
    token, _key = issue(engineer, at=timezone.now())
    client.force_login(engineer.user, "django.contrib.auth.backends.ModelBackend")
    path = f"/accounts/{engineer.account_id}/api-tokens/selection/delete/"
    sent = {"shown": with_issuers([APIToken.objects.for_display().get(pk=token.pk)])}
    said = []
    for _time in range(2):
        response = client.post(path, sent, follow=True)
        said += [str(each) for each in response.context["messages"]]
    assert said == ["1 API token was deleted.", "No tokens to delete: they are already gone."]
    assert waits == [{token.pk % 4096}] * 2


def test_what_gives_a_token_nothing_less_is_not_waited_for(
    engineer: Membership, issue: Issue, waits: Waits
) -> None:
    token, _key = issue(engineer, at=timezone.now())
    editing.edit(token=token, changes={"name": "New"}, by=OPERATOR, at=timezone.now())
    people.deactivate_user(user=engineer.user, by=OPERATOR, at=timezone.now())
    waits.clear()
    people.reactivate_user(user=engineer.user, by=OPERATOR, at=timezone.now())
    assert not waits


def test_deleted_verifier_key_is_waited_for(waits: Waits) -> None:
    at = timezone.now()
    made = verifier_keys.issue_verifier(name="Billing", by=OPERATOR, at=at).verifier
    verifier_keys.delete_verifier(verifier=made, by=OPERATOR, at=at)
    assert waits == [{4096 + made.pk % 512}]


def test_deletion_of_a_verifier_key_that_is_repeated_is_waited_for(waits: Waits) -> None:
    at = timezone.now()
    made = verifier_keys.issue_verifier(name="Billing", by=OPERATOR, at=at).verifier
    verifier_keys.delete_verifier(verifier=made, by=OPERATOR, at=at)
    waits.clear()
    assert not verifier_keys.delete_verifier(verifier=made, by=OPERATOR, at=at)
    assert waits == [{4096 + made.pk % 512}]


def test_bulk_acts_wait_once(user: Membership, issue: Issue, waits: Waits) -> None:
    tokens = [issue(user, at=timezone.now()).token for _token in range(5)]
    token_services.delete_all(tokens=tokens, by=OPERATOR, at=timezone.now())
    assert waits == [{token.pk % 4096 for token in tokens}]


def test_request_waits_once_and_last(
    user: Membership, issue: Issue, waits: Waits, api: Api
) -> None:
    token, key = issue(user, at=timezone.now())
    assert api(key).delete(f"/iam/clients/{user.account_id}/tokens/{token.pk}").status_code == 204
    assert waits == [{token.pk % 4096}]


def test_what_is_undone_is_not_waited_for(user: Membership, issue: Issue, waits: Waits) -> None:
    from django.db import transaction

    token, _key = issue(user, at=timezone.now())
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        token_services.delete(token=token, by=OPERATOR, at=timezone.now())
        raise ZeroDivisionError
    assert not waits

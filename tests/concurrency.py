"""Real processes that all act at the same moment, on a database that is really shared.

`python -m tests.concurrency` reads JSON lists of tasks from standard input, a line each. It gives
every task of a list a process of its own, and prints how often each outcome came about.
"""

import atexit
import functools
import json
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from multiprocessing.synchronize import Barrier
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import django

Task = dict[str, Any]
"""`member`: its key; `does`: "issue", "leave", "demote" or "remove" (then `target`: the key of the
other), "delete_all" (of the `target`, too), "accept" (then `invitation`), "invite" (then `email`),
"open" (an account of their own), "be" (then `email`, the address that is theirs from now on),
"refresh" (then `refresh`, the token to turn in), "come" (through the identity provider) or "watch"
(for those who do not), "rotate", "rename", "delete" and "hand_over" (a token, the `target`; the
last one gives it `to` a member, by the key), "delete_several" (the `targets`), "empty" (a service,
the `target`, of all scopes but `kept`); `times` (1); to issue, `form_key` (the same each time),
`role` and `scopes`."""


def outcomes(tasks: list[Task]) -> Counter[str]:
    """Run the tasks at once on the test database; returns how often each outcome came about."""
    starter = _starter(shared_database_url())
    assert starter.stdin
    assert starter.stdout
    try:
        starter.stdin.write(json.dumps(tasks) + "\n")
        starter.stdin.flush()
        return Counter(json.loads(starter.stdout.readline()))
    except BaseException:  # a late answer must not be that to the next question
        starter.kill()
        _starter.cache_clear()
        raise


@functools.cache
def _starter(database_url: str) -> "subprocess.Popen[str]":
    """The process that forks the others: making Django ready takes longer than most tasks."""
    starter = subprocess.Popen(
        [sys.executable, "-m", "tests.concurrency"],
        env={**os.environ, "DATABASE_URL": database_url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(starter.kill)
    return starter


def shared_database_url() -> str:
    """The address of the database that this test uses, for other processes."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def _act(task: Task, start: Barrier, told: Any) -> None:
    from accounts.models import Membership

    try:
        member = Membership.objects.select_related("user", "account").get(pk=task["member"])
        start.wait(timeout=60)
        told.put([_try(task, member) for _time in range(task.get("times", 1))])
    except Exception as fault:  # whatever it is, the test must hear of it
        told.put([repr(fault)])


def _try(task: Task, member: Any) -> str:
    from django.core.exceptions import PermissionDenied, ValidationError
    from django.db import OperationalError

    try:
        while True:
            try:
                return TASKS[task["does"]](task, member)
            except OperationalError as fault:
                # SQLite lets no line form: one of many can wait too long. Its client is answered
                # 503 with Retry-After, and comes again.
                if "database is locked" not in str(fault):
                    raise
    except ValidationError as refusal:
        return _code(refusal)
    except PermissionDenied as refusal:
        return str(refusal)
    except Exception as fault:  # whatever else happens is what the test looks for
        return repr(fault)


def _code(refusal: Any) -> str:
    """Of a `ValidationError`: the first reason, of whatever field."""
    by_field = getattr(refusal, "error_dict", None)
    errors = next(iter(by_field.values())) if by_field else refusal.error_list
    return str(errors[0].code)


def _issue(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.roles import Role
    from tests.factories import issue

    form_key = UUID(task["form_key"]) if "form_key" in task else None
    role = Role(task.get("role", Role.USERS))
    scopes = task.get("scopes")
    issue(member, at=timezone.now(), form_key=form_key, role=role, scopes=scopes)
    return "issued"


def _empty(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from apitokens.models import Service
    from apitokens.scopes.services import ScopeFacts, edit

    service = Service.objects.get(pk=task["target"])
    scopes = [ScopeFacts(task["kept"], "Kept")]
    edit(
        service=service,
        name=service.name,
        scopes=scopes,
        by=Actor.member(member),
        at=timezone.now(),
    )
    return "emptied"


def _leave(_deed: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor, EntryPoint
    from accounts.members import services as members

    operator = Actor.operator(through=EntryPoint.COMMAND)
    members.remove_member(membership=member, by=operator, at=timezone.now())
    return "left"


def _demote(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.members import services as members
    from accounts.models import Membership
    from accounts.roles import Role

    target = Membership.objects.get(pk=task["target"])
    members.change_role(
        membership=target, role=Role.USERS, by=Actor.member(member), at=timezone.now()
    )
    return "demoted"


def _remove(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.members import services as members
    from accounts.models import Membership

    target = Membership.objects.get(pk=task["target"])
    members.remove_member(membership=target, by=Actor.member(member), at=timezone.now())
    return "removed"


def _invite(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.invitations import services as invitations
    from accounts.roles import Role

    invitations.invite(
        account=member.account,
        email=task["email"],
        role=Role.USERS,
        by=Actor.member(member),
        at=timezone.now(),
    )
    return "invited"


def _accept(task: Task, _member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.invitations import services as invitations
    from accounts.models import Invitation

    invitation = Invitation.objects.get(pk=task["invitation"])
    by = Actor.person(invitation.user)
    invitations.accept(invitation=invitation, user=invitation.user, by=by, at=timezone.now())
    return "accepted"


def _open(_deed: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.sign_in import registration

    registration.open_own_account(
        user=member.user, account_name="Globex", by=Actor.person(member.user), at=timezone.now()
    )
    return "opened"


def _be(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.sign_in import services as sign_in_services

    by = Actor.person(member.user)
    sign_in_services.change_email(user=member.user, email=task["email"], by=by, at=timezone.now())
    return "changed"


def _refresh(task: Task, _member: Any) -> str:
    from django.utils import timezone

    from accounts.jwt import token_families, tokens

    try:
        token_families.refresh(presented=task["refresh"], at=timezone.now(), address=None)
    except tokens.Invalid:
        return "invalid"
    return "refreshed"


def _delete_all(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.models import Membership
    from apitokens.tokens import services as token_services

    target = Membership.objects.get(pk=task["target"])
    token_services.delete_all_of(issuer=target, by=Actor.member(member), at=timezone.now())
    return "deleted all"


def _rotate(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from apitokens.models import APIToken
    from apitokens.tokens import rotation

    token = APIToken.objects.get(pk=task["target"])
    rotation.rotate(token=token, by=Actor.member(member), at=timezone.now(), rotations=0)
    return "rotated"


def _rename(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from apitokens.models import APIToken
    from apitokens.tokens import editing

    token = APIToken.objects.get(pk=task["target"])
    by = Actor.member(member)
    editing.edit(token=token, changes={"name": "Renamed"}, by=by, at=timezone.now())
    return "renamed"


def _delete(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from apitokens.models import APIToken
    from apitokens.tokens import services as token_services

    token = APIToken.objects.get(pk=task["target"])
    token_services.delete(token=token, by=Actor.member(member), at=timezone.now())
    return "gone"


def _delete_several(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from apitokens.tokens import services as token_services

    deleted = token_services.delete_selected(
        account=member.account,
        token_ids=task["targets"],
        by=Actor.member(member),
        at=timezone.now(),
    )
    return f"deleted {len(deleted)}"


def _hand_over(task: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.models import Membership
    from apitokens.tokens.handover import hand_over

    handed = hand_over(
        account=member.account,
        token_ids=[task["target"]],
        to=Membership.everyone.get(pk=task["to"]),
        by=Actor.member(member),
        at=timezone.now(),
    )
    return "handed over" if handed else "nothing to hand over"


def _come(_deed: Task, member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor
    from accounts.members import suspension

    suspension.record_sso_sign_in(membership=member, by=Actor.member(member), at=timezone.now())
    return "came"


def _watch(_deed: Task, _member: Any) -> str:
    from django.utils import timezone

    from accounts.authorization.actor import Actor, EntryPoint
    from sso.inactivity import services as inactivity

    found = inactivity.enforce_policies(
        by=Actor.operator(through=EntryPoint.SYSTEM), at=timezone.now()
    )
    return f"dealt with {found}"


TASKS = {
    "issue": _issue,
    "leave": _leave,
    "demote": _demote,
    "remove": _remove,
    "invite": _invite,
    "accept": _accept,
    "open": _open,
    "be": _be,
    "refresh": _refresh,
    "delete_all": _delete_all,
    "rotate": _rotate,
    "rename": _rename,
    "delete": _delete,
    "delete_several": _delete_several,
    "hand_over": _hand_over,
    "empty": _empty,
    "come": _come,
    "watch": _watch,
}


def main() -> None:
    django.setup()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_run_at_once(json.loads(line))) + "\n")
        sys.stdout.flush()


def _run_at_once(tasks: list[Task]) -> Counter[str]:
    fork = multiprocessing.get_context("fork")
    start, told = fork.Barrier(len(tasks)), fork.Queue()
    processes = [fork.Process(target=_act, args=(task, start, told)) for task in tasks]
    for process in processes:
        process.start()
    counted = Counter(outcome for _process in processes for outcome in told.get(timeout=180))
    for process in processes:
        process.join()
    return counted


if __name__ == "__main__":
    main()

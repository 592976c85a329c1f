"""Calls and forms that change something, of one thing and of thousands at once.

What changes one thing is done several times, each time another one; what changes thousands, once.
"""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any, NamedTuple

from django.test import Client
from django.urls import reverse

from accounts.roles import Role
from benchmarks.scale.asked.calls import ADMINISTRATOR, OF_FULL, PAGE
from benchmarks.scale.data.seed import (
    ACTIVE_OF_BIG,
    BIG,
    FIRST_TOKEN,
    FIRST_USER,
    FULL,
    PEOPLE_OF_OTHERS,
    Sizes,
)

USERS = {"id": Role.USERS.value}
SCOPES = [{"code": "purge", "name": "Purge"}]
FIRST_CHANGED = 11
"""Places of the tokens and members that the calls change one by one."""
AT_ONCE = 500
"""API tokens that one request may name."""
BATCH = 100
RUNS = 4
_HIDDEN = re.compile(r'<input type="hidden"\s+name="(\w+)"\s+value="([^"]*)"')


class Change(NamedTuple):
    """A call of the API that changes something. `path` and `body` are of its n-th time, from 0."""

    who: str
    name: str
    method: str
    path: Callable[[int], str]
    body: Callable[[int], Any] = lambda _n: {}
    bound: int | None = PAGE
    runs: int = RUNS
    by_verifier: bool = False
    is_form: bool = False
    """Sent as a form, as RFC 7662 has it, and not as JSON."""


NOT_MEASURED = {
    "api-login": "is measured by `make bench-sign-in`",
    "api-refresh": "reads the family of one token",
    "api-verify": "is measured by `make bench`",
}
"""The calls that change something, or ask by POST, and are not made here."""


def changes(sizes: Sizes, token: str) -> Iterator[Change]:
    """All of them, in their order: some end what others have made. `token` is the text of one."""
    yield from _of_tokens(token)
    yield from _of_services(sizes)
    yield from _of_people()
    yield from _of_many(sizes)


def _of_tokens(token: str) -> Iterator[Change]:
    def call(name: str, method: str, body: Callable[[int], Any] = lambda _n: {}) -> Change:
        return _change(name, method, body, client_id=BIG, token_id=_token)

    new = {"exp_date": None, "client_user": {"role": USERS}}
    yield _change("api-tokens-v2", "POST", lambda n: {**new, "name": f"New {n}"}, client_id=BIG)
    yield call("api-token-v2", "PATCH", lambda n: {"name": f"Renamed {n}"})
    yield call("api-rotate-v2", "POST")
    yield call("api-old-secret-v2", "DELETE")
    yield call("api-token-v2", "DELETE")
    yield _change("api-look-up-v2", "POST", lambda _n: {"token": token}, client_id=BIG)
    asked = _change("api-introspect", "POST", lambda _n: {"token": token})
    yield asked._replace(by_verifier=True, is_form=True)
    unknown = [f"{token[:-8]}{n:08d}" for n in range(BATCH - 1)]
    batch = _change("api-introspect-batch", "POST", lambda _n: [token, *unknown])
    yield batch._replace(by_verifier=True, name=f"{batch.name}, {BATCH} tokens")


def _of_services(sizes: Sizes) -> Iterator[Change]:
    def service(n: int) -> str:
        return f"measured{n}"

    def account(n: int) -> int:
        return FIRST_USER + sizes.users + n

    facts: dict[str, Any] = {"scopes": SCOPES}
    made = lambda n: {**facts, "code": service(n), "name": f"Measured {n}"}  # noqa: E731
    yield _change("api-services", "POST", made, client_id=BIG)
    renamed = lambda n: {**facts, "name": f"Renamed {n}"}  # noqa: E731
    yield _change("api-service", "PUT", renamed, client_id=BIG, code=service)
    yield _change("api-service", "DELETE", client_id=BIG, code=service)
    of_accounts: dict[str, Any] = {"client_id": BIG, "service_account_id": account}
    renamed = lambda n: {"name": f"Renamed {n}"}  # noqa: E731
    yield _change("api-service-account", "PATCH", renamed, **of_accounts)
    yield _change("api-service-account", "DELETE", **of_accounts)
    made = lambda n: {"name": f"Measured {n}", "role": USERS}  # noqa: E731
    yield _change("api-service-accounts", "POST", made, client_id=BIG)


def _of_people() -> Iterator[Change]:
    yield _change("api-user", "PATCH", lambda n: {"name": f"Renamed {n}"}, user_id=FIRST_USER)
    invited = lambda n: {  # noqa: E731
        "client_id": BIG,
        "email": f"measured{n}@example.net",
        "user_role": USERS,
    }
    yield _change("api-invite-user", "POST", invited)
    member: dict[str, Any] = {"client_id": BIG, "user_id": lambda n: FIRST_USER + 100 + n}
    yield _change("api-client-user", "PUT", lambda _n: {"user_role": USERS}, **member)
    yield _change("api-client-user", "DELETE", **member)


def _of_many(sizes: Sizes) -> Iterator[Change]:
    first = FIRST_TOKEN + ACTIVE_OF_BIG + sizes.deleted_of_big + 1
    ids = list(range(first, first + AT_ONCE))
    to = {"tokens": ids, "issuer": FIRST_USER + sizes.members_of_big}
    delete = {"tokens": ids}
    for change in (
        _change("api-hand-over-v2", "POST", lambda _n: to, client_id=FULL),
        _change("api-delete-v2", "POST", lambda _n: delete, client_id=FULL),
    ):
        yield change._replace(
            who=OF_FULL, name=f"{change.name}, {AT_ONCE} tokens", bound=None, runs=1
        )


def _change(
    name: str, method: str, body: Callable[[int], Any] = lambda _n: {}, **arguments: Any
) -> Change:
    def path(n: int) -> str:
        filled = {key: each(n) if callable(each) else each for key, each in arguments.items()}
        return reverse(name, kwargs=filled)

    return Change(ADMINISTRATOR, f"`{name}` {method}", method, path, body)


def _token(n: int) -> int:
    return FIRST_TOKEN + FIRST_CHANGED + n


class Form(NamedTuple):
    """A form that an Administrator of the account of 100,000 active tokens confirms."""

    name: str
    path: str
    chosen: dict[str, Any]


def forms(sizes: Sizes) -> Iterator[Form]:
    """Those that end, or hand over, all tokens that they ask about."""
    people = [FIRST_USER + sizes.members_of_big + place for place in range(PEOPLE_OF_OTHERS)]
    tokens = f"{sizes.active_of_full // PEOPLE_OF_OTHERS:,} tokens"
    for name, words, place, chosen in (
        ("accounts:remove", f"hands over {tokens}", 1, {"hand_over_to": people[0]}),
        ("accounts:remove", f"deletes {tokens}", 2, {"delete_tokens": "on"}),
        ("apitokens:delete_all", tokens, 3, {}),
    ):
        path = reverse(name, kwargs={"account_id": FULL, "user_id": people[place]})
        yield Form(f"`{name}`, {words}", path, chosen)
    for name, chosen in (("hand_over_selected", {"to": people[0]}), ("delete_selected", {})):
        path = reverse(f"apitokens:{name}", kwargs={"account_id": FULL})
        yield Form(f"`apitokens:{name}`, {AT_ONCE} tokens", path, chosen)


def answers(browser: Client, form: Form) -> dict[str, Any]:
    """What a browser would send: what the question has shown, and what the person has chosen."""
    page = browser.get(form.path).content.decode()
    dialog = page[page.index("<dialog") :]
    return {name: unescape(value) for name, value in _HIDDEN.findall(dialog)} | form.chosen

"""A process that is killed between the commit and the answer: nobody has seen the secret, and
nobody has lost anything by it. What was asked again says what happened; old secrets go on."""

import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from accounts.models import Membership
from accounts.roles import Role
from apitokens.keys import Key
from apitokens.models import APIToken
from tests.config.database.conftest import API, CREATE, FORM, LIST, NEW
from tests.conftest import Api, Issue
from tests.questions import hidden_fields

pytestmark = pytest.mark.django_db(transaction=True)

VERSIONS = pytest.mark.parametrize("api_url", [API, API.replace("/iam/", "/iam/v2/")])


def killed_after_commit(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do it in a process that is killed as soon as a token is committed."""
    connections.close_all()
    pid = os.fork()
    if not pid:
        own, changed = connections["default"], list[str]()

        def execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if re.match(r'(INSERT INTO|UPDATE) "apitokens_(apitoken|oldsecret)', sql):
                changed.append(sql)
            return execute(sql, params, many, context)

        def commit() -> None:
            type(own).commit(own)
            if changed:
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(own, "commit", commit)
        with own.execute_wrapper(execute):
            act()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


@pytest.fixture
def key(administrator: Membership, issue: Issue) -> Key:
    """That of the caller, an Administrator."""
    return issue(administrator, name="Caller", role=Role.ADMINISTRATORS).key


@pytest.fixture
def rotated(user: Membership, issue: Issue) -> Any:
    """What is rotated."""
    return issue(user, name="Nightly backup")


def works(api: Api, key: Key, token: APIToken) -> bool:
    status = api(key).get(f"{API}/{token.pk}").status_code
    assert status in (200, 401)
    return bool(status == 200)


def test_form_of_a_new_token_says_so(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_after_commit(lambda: browser.post(CREATE, FORM), monkeypatch)

    token = APIToken.objects.get()
    answer = browser.post(CREATE, FORM)
    assert answer.status_code == 409
    assert "delete it and create a new one" in answer.content.decode()
    assert f"/api-tokens/{token.pk}/delete/" in answer.content.decode()


def test_form_of_a_rotation_says_so_and_the_old_secret_goes_on(
    browser: Client, api: Api, rotated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, old = rotated
    url = f"{LIST}{token.pk}/rotate/"
    hidden = hidden_fields(browser, url)
    form = {**hidden, "grace": "24", "expiration": "keep"}
    killed_after_commit(lambda: browser.post(url, form), monkeypatch)

    answer = browser.post(url, form)
    assert answer.status_code == 409
    assert "rotate the token again" in answer.content.decode()
    assert APIToken.objects.get(pk=token.pk).rotations == 1
    assert works(api, old, token)


@VERSIONS
def test_token_created_by_the_api_stands_in_the_list_and_can_be_deleted(
    api: Api, key: Key, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after_commit(lambda: api(key).post(api_url, NEW, format="json"), monkeypatch)

    found = [each for each in api(key).get(api_url).json() if each["name"] == NEW["name"]]
    assert len(found) == 1
    assert api(key).delete(f"{api_url}/{found[0]['id']}").status_code == 204


@VERSIONS
def test_repeated_rotation_by_the_api_is_refused_and_the_old_secret_goes_on(
    api: Api, key: Key, rotated: Any, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, old = rotated
    url = f"{api_url}/{token.pk}/rotate"

    def rotate() -> Any:
        return api(key).post(url, {"rotations": 0}, format="json")

    killed_after_commit(rotate, monkeypatch)

    again = rotate()
    assert again.status_code == 400
    assert "rotated in the meantime" in again.json()["errors"]["errors"][0]
    assert works(api, old, token)
    assert api(key).post(url, {"rotations": 1}, format="json").status_code == 200

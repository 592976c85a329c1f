"""People who sign in through the API."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Membership
from tests.factories import PASSWORD

LOGIN, REFRESH, ME = "/iam/auth/jwt/login", "/iam/auth/jwt/refresh", "/iam/users/me"
ENDED = {"message": "Token is invalid or expired"}
NO_ACCOUNT = "No active account found with the given credentials."

Pair = dict[str, str]
PairOf = Callable[[Membership], Pair]


def post(url: str, body: Any, **extra: Any) -> Any:
    return APIClient().post(url, body, format="json", **extra)


def log_in(email: str, password: str = PASSWORD, **facts: Any) -> Any:
    return post(LOGIN, {"username": email, "password": password, **facts})


def turn_in(refresh: str) -> Any:
    return post(REFRESH, {"refresh": refresh})


def with_access(access: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {access}"})


def is_good(pair: Pair) -> bool:
    return bool(with_access(pair["access"]).get(ME).status_code == 200)


@pytest.fixture
def pair_of() -> PairOf:
    """`pair_of(member)`: what the person gets who signs in now."""

    def act(member: Membership) -> Pair:
        answer = log_in(member.user.email)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    return act

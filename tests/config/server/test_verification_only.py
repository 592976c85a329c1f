"""Web processes that serve verification and nothing else."""

from typing import Any

import pytest
from pytest_django import Settings

from config.server.verification_only import SERVED, leave_out_the_rest


def ask(path: str, method: str = "GET") -> tuple[str, bytes]:
    """The status and the body of a process as it is set."""
    told = list[str]()

    def serve(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"served"]

    def start_response(status: str, headers: list[tuple[str, str]], *_facts: Any) -> None:
        told.append(status)

    body = b"".join(
        leave_out_the_rest(serve)({"PATH_INFO": path, "REQUEST_METHOD": method}, start_response)
    )
    return told[0], body


@pytest.mark.parametrize("path", sorted(SERVED))
def test_verification_and_probes_are_served(path: str, settings: Settings) -> None:
    settings.SERVES = "verification"

    assert ask(path) == ("200 OK", b"served")


@pytest.mark.parametrize(
    "path", ["/", "/login/", "/iam/clients/me", "/iam/auth/verify/", "/static/x", "/operators/"]
)
def test_pages_and_api_are_not(path: str, settings: Settings) -> None:
    settings.SERVES, settings.BASE_URL = "verification", "https://tokens.example.com"

    status, body = ask(path)

    assert status == "404 Not Found"
    assert b"https://tokens.example.com" in body
    assert ask(path, "HEAD") == ("404 Not Found", b"")


@pytest.mark.parametrize("path", ["/", "/iam/auth/verify"])
def test_everything_is_served_without_the_setting(path: str, settings: Settings) -> None:
    assert ask(path) == ("200 OK", b"served")

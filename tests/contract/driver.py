"""Runs an official client, unmodified, in a process of its own: two versions cannot share one.

Reads one JSON line a call from standard input and answers with one, for as long as it is asked.
"""

import asyncio
import inspect
import json
import sys
from typing import Any

import gcore
import httpx


class Wire:
    """Counts the requests that really go out: the client's own retries are among them."""

    def __init__(self) -> None:
        self.requests = 0

    def count(self, _request: httpx.Request) -> None:
        self.requests += 1

    async def count_async(self, request: httpx.Request) -> None:
        self.count(request)


def outcome_of(asked: dict[str, Any]) -> dict[str, Any]:
    wire = Wire()
    try:
        found = asyncio.run(_call_async(asked, wire)) if asked["is_async"] else _call(asked, wire)
    except gcore.GcoreError as error:
        return {
            "error": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "body": getattr(error, "body", None),
            "text": str(error),
            "requests": wire.requests,
        }
    return {"answer": _as_json(found), "requests": wire.requests}


def _call(asked: dict[str, Any], wire: Wire) -> Any:
    with httpx.Client(event_hooks={"request": [wire.count]}) as http:
        return _method(gcore.Gcore(**_settings(asked), http_client=http), asked)


async def _call_async(asked: dict[str, Any], wire: Wire) -> Any:
    async with httpx.AsyncClient(event_hooks={"request": [wire.count_async]}) as http:
        found = _method(gcore.AsyncGcore(**_settings(asked), http_client=http), asked)
        assert inspect.isawaitable(found)
        return await found


def _settings(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "api_key": asked["key"],
        "base_url": asked["url"],
        "_strict_response_validation": True,
    }


def _method(client: Any, asked: dict[str, Any]) -> Any:
    found = client
    for name in asked["call"].split("."):
        found = getattr(found, name)
    return found(*asked["args"], **asked["kwargs"])


def _as_json(found: Any) -> Any:
    if isinstance(found, list):
        return [_as_json(each) for each in found]
    return found.to_dict(mode="json") if hasattr(found, "to_dict") else found


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        told = {"version": gcore.__version__} if "call" not in asked else outcome_of(asked)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

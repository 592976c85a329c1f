"""The API's description as a judge of the API: every answer that a test gets is held against it."""

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from django.urls import Resolver404, resolve
from jsonschema import Draft202012Validator

from config.api_docs.page import openapi_json

Schema = dict[str, Any]
HEADERS_OF_REFUSALS = ("WWW-Authenticate", "Retry-After", "X-Auth-Error")
METHODS_OF_NO_CALL = ("HEAD", "OPTIONS", "TRACE")


def judged(request: Callable[..., Any]) -> Callable[..., Any]:
    """`Client.request`, which fails if the answer is none of those that are described."""

    @functools.wraps(request)
    def ask(client: Any, **environ: Any) -> Any:
        response = request(client, **environ)
        method, path = environ["REQUEST_METHOD"], str(environ["PATH_INFO"])
        problem = judge(method, path, response) if path.startswith("/iam/") else None
        assert problem is None, f"{method} {path}: {problem}"
        return response

    return ask


@functools.cache
def description() -> Schema:
    found: Schema = json.loads(openapi_json())
    return found


def judge(method: str, path: str, response: HttpResponseBase) -> str | None:
    """What is wrong with the answer by the description; None if nothing is."""
    operation = _operation(method, path)
    if operation is None:
        return None
    answer = resolved(operation["responses"].get(str(response.status_code)))
    if not answer:
        return f"{response.status_code} is not described"
    return _headers(answer, response) or _body(answer, response) or _members(answer, response)


def resolved(node: Any) -> Any:
    """The node, or what it refers to."""
    while isinstance(node, dict) and "$ref" in node:
        found: Any = description()
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


_VALIDATORS = dict[int, Draft202012Validator]()
"""By the identity of the schema: making one takes longer than asking it."""


def validator(schema: Schema) -> Draft202012Validator:
    """Judges values by a schema of the description."""
    if id(schema) not in _VALIDATORS:
        whole = {"components": {"schemas": _components()}, **_plain(schema)}
        _VALIDATORS[id(schema)] = Draft202012Validator(whole)
    return _VALIDATORS[id(schema)]


def _operation(method: str, path: str) -> Schema | None:
    """The description of the call. None for what is no call: an address or method that is not."""
    try:
        route = resolve(path).route
    except (Resolver404, UnicodeError):
        return None
    item = description()["paths"].get("/" + re.sub(r"<int:(\w+)>", r"{\1}", route), {})
    found: Schema | None = item.get(method.lower())
    return None if method in METHODS_OF_NO_CALL else found


def _headers(answer: Schema, response: HttpResponseBase) -> str | None:
    described = answer.get("headers", {})
    for name, header in described.items():
        if name not in response.headers:
            if header.get("required"):
                return f"the header {name} is missing"
            continue
        value: Any = response.headers[name]
        if header["schema"]["type"] == "integer":
            value = int(value)
        if not validator(header["schema"]).is_valid(value):
            return f"the header {name} must not be {value!r}"
    sent = (name for name in HEADERS_OF_REFUSALS if name in response.headers)
    return next((f"{name} is not described" for name in sent if name not in described), None)


def _body(answer: Schema, response: HttpResponseBase) -> str | None:
    content = getattr(response, "content", b"")
    described = answer.get("content", {})
    if not described:
        return f"a body is not described: {content[:100]!r}" if content else None
    kind = response.headers["Content-Type"].partition(";")[0]
    if kind not in described:
        return f"{kind} is not described"
    value = json.loads(content) if kind == "application/json" else content.decode()
    errors = validator(described[kind]["schema"]).iter_errors(value)
    return next((f"{error.json_path}: {error.message[:300]}" for error in errors), None)


def _members(answer: Schema, response: HttpResponseBase) -> str | None:
    """A member of a refusal that the description does not know. More are no error by a schema, so
    that old clients take what is added later."""
    if response.status_code < 400 or not getattr(response, "content", b""):
        return None
    described = resolved(answer["content"]["application/json"]["schema"])["properties"]
    sent = json.loads(getattr(response, "content", b""))
    return next((f"{name} is not described" for name in sent if name not in described), None)


@functools.cache
def _components() -> Schema:
    schemas: Schema = _plain(description()["components"]["schemas"])
    return schemas


def _plain(node: Any) -> Any:
    """The schema of OpenAPI 3.0 as JSON Schema, which has no `nullable`: to the `type` beside it
    that adds null, and without one it says nothing."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True and isinstance(node.get("type"), str):
        plain["type"] = [node["type"], "null"]
    return plain

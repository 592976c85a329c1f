"""The OpenAPI description, and the context of the documentation page that is made from it."""

import json
from functools import cache
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

from config.api_docs.examples import CSV, JSON, Call, examples_of

Schema = dict[str, Any]
CREDENTIALS = {
    "APIKey": "APIKey <token>",
    "Bearer": "Bearer <access token>",
    "VerifierKey": "Bearer <verifier key>",
}
SAME_AS = "x-same-as"
"""An operation that is described by another method of its path."""
METHODS = ("get", "post", "put", "patch", "delete")


@cache
def openapi_json() -> bytes:
    """The OpenAPI description as JSON. It is the same for everybody as long as the process runs,
    and anybody may ask for it: making it takes a tenth of a second."""
    rendered: bytes = OpenApiJsonRenderer().render(_describe())
    return rendered


def _describe() -> Schema:
    generator: Any = SchemaGenerator  # the library has no types
    document: Schema = generator().get_schema(request=None, public=True)
    return document


def reference_for(account_id: int | None) -> dict[str, Any]:
    """`reference`, with example calls of this account; without one they have a placeholder."""
    known = reference()
    groups = [
        {
            **group,
            "operations": [
                {**each, "examples": examples_of(each["call"].of_account(account_id))}
                for each in group["operations"]
            ],
        }
        for group in known["groups"]
    ]
    return {**known, "groups": groups}


@cache
def reference() -> dict[str, Any]:
    """`spec`, `groups` of operations and `base_url`, read once from the code as it runs."""
    document = _describe()
    groups: dict[str, list[Schema]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method in METHODS:
            operation = methods.get(method, {})
            if operation and SAME_AS not in operation:
                groups[operation["tags"][0]].append(_operation(document, path, method, operation))
    descriptions = {tag["name"]: tag["description"] for tag in document["tags"]}
    return {
        "spec": document["info"],
        "groups": [
            {"name": name, "description": descriptions[name], "operations": operations}
            for name, operations in groups.items()
        ],
        "base_url": settings.BASE_URL,
    }


def _operation(document: Schema, path: str, method: str, operation: Schema) -> Schema:
    body = _body(document, operation)
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "deprecated": operation.get("deprecated", False),
        "parameters": [_parameter(document, each) for each in operation.get("parameters", [])],
        "body": body,
        "responses": [
            _response(status, each)
            for status, each in operation["responses"].items()
            if "$ref" not in each  # what every call may answer, the head of the page says
        ],
        "call": _call(path, method, body, operation),
    }


def _parameter(document: Schema, parameter: Schema) -> Schema:
    return {
        "name": parameter["name"],
        "where": parameter["in"],
        "required": parameter.get("required", False),
        "type": _type(document, parameter.get("schema", {})),
        "description": parameter.get("description", ""),
    }


def _body(document: Schema, operation: Schema) -> Schema | None:
    contents = operation.get("requestBody", {}).get("content", {})
    if not contents:
        return None
    media = "application/json" if "application/json" in contents else next(iter(contents))
    content = contents[media]
    schema = _resolve(document, content["schema"])
    required = schema.get("required", [])
    return {
        "media": media,
        "example": _example(content),
        "fields": [
            {
                "name": name,
                "type": _type(document, each),
                "required": name in required,
                "description": each.get("description", ""),
            }
            for name, each in schema.get("properties", {}).items()
        ],
    }


def _response(status: str, response: Schema) -> Schema:
    contents = response.get("content", {})
    content = contents.get(JSON) or contents.get(CSV, {})
    return {
        "status": status,
        "description": response.get("description", ""),
        "example": _examples(content),
    }


def _examples(content: Schema) -> str:
    """All examples of an answer: with their names if there are several."""
    examples = content.get("examples", {})
    if len(examples) < 2:
        return _example(content)
    return "\n\n".join(
        f"{each.get('summary', name)}:\n{_as_text(each['value'])}"
        for name, each in examples.items()
    )


def _example(content: Schema) -> str:
    """The first example, or nothing."""
    examples = content.get("examples", {}).values()
    return next((_as_text(each["value"]) for each in examples), "")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _type(document: Schema, schema: Schema) -> str:
    schema = _resolve(document, schema)
    for several in ("allOf", "oneOf"):
        if several in schema:
            first = _type(document, schema[several][0])
            return f"{first} or null" if schema[several][-1].get("enum") == [None] else first
    kind = schema.get("type", "object")
    if kind == "array":
        return f"array of {_type(document, schema.get('items', {}))}"
    shown = {"date-time": "date and time"}.get(schema.get("format", ""), kind)
    return f"{shown} or null" if schema.get("nullable") else str(shown)


def _resolve(document: Schema, schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _credentials(operation: Schema) -> str | None:
    """The Authorization header of an example, for the first scheme that the operation takes."""
    schemes = {name for each in operation.get("security", []) for name in each}
    return next((text for scheme, text in CREDENTIALS.items() if scheme in schemes), None)


def _call(path: str, method: str, body: Schema | None, operation: Schema) -> Call:
    good = next(each for status, each in operation["responses"].items() if status.startswith("2"))
    return Call(
        method=method,
        path=path,
        credentials=_credentials(operation),
        media=body["media"] if body else None,
        facts=json.loads(body["example"]) if body and body["example"] else None,
        answers=next((each for each in (JSON, CSV) if each in good.get("content", {})), None),
    )

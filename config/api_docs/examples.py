"""Example calls of the documentation page: curl, Python and JavaScript."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings

JSON, CSV = "application/json", "text/csv"
CURL_BREAK = " \\\n  "


class Example(NamedTuple):
    """One call in one language."""

    language: str
    """A code of `LANGUAGES`."""
    name: str
    text: str


@dataclass(frozen=True)
class Call:
    """What the examples of a call are made from."""

    method: str
    path: str
    credentials: str | None
    media: str | None
    facts: dict[str, Any] | None
    """The body, if it has one."""
    answers: str | None
    """The kind of the answer, if it has a body to show."""

    def url(self) -> str:
        return f"{settings.BASE_URL}{self.path}"

    def headers(self) -> dict[str, str]:
        """Without the type of the body where a library adds it."""
        return {"Authorization": self.credentials} if self.credentials else {}

    def of_account(self, account_id: int | None) -> "Call":
        """The same call for this account."""
        if account_id is None:
            return self
        facts = self.facts
        if facts and "client_id" in facts:
            facts = {**facts, "client_id": account_id}
        path = self.path.replace("{client_id}", str(account_id))
        return Call(self.method, path, self.credentials, self.media, facts, self.answers)


def examples_of(call: Call) -> list[Example]:
    """The call in each language, in the order of the page."""
    return [
        Example(language, name, write(call))
        for language, (name, write) in {
            "curl": ("curl", _curl),
            "python": ("Python", _python),
            "javascript": ("JavaScript", _javascript),
        }.items()
    ]


def _curl(call: Call) -> str:
    """A shell command in single quotes, because shells take `$…` for a variable."""
    parts = ["curl"]
    if call.credentials:
        parts.append(f"-H 'Authorization: {call.credentials}'")
    if call.method != "get":
        parts.append(f"-X {call.method.upper()}")
    if call.facts and call.media == JSON:
        compact = json.dumps(call.facts, ensure_ascii=False)
        parts += [f"-H 'Content-Type: {JSON}'", f"-d '{compact}'"]
    elif call.facts:
        parts += [f"--data-urlencode '{name}={value}'" for name, value in call.facts.items()]
    parts.append(f"'{call.url()}'")
    first, *rest = parts
    return f"{first} {CURL_BREAK.join(rest)}"


def _python(call: Call) -> str:
    """With requests, which most people have."""
    arguments = [json.dumps(call.url())]
    if headers := call.headers():
        arguments.append(f"headers={json.dumps(headers)}")
    if call.facts:
        name = "json" if call.media == JSON else "data"
        arguments.append(f"{name}={_python_value(call.facts)}")
    shown = {JSON: ", response.json()", CSV: ", response.text"}.get(call.answers or "", "")
    return "\n".join(
        [
            "import requests",
            "",
            f"response = requests.{call.method}(",
            *(f"    {argument}," for argument in arguments),
            ")",
            f"print(response.status_code{shown})",
        ]
    )


def _python_value(value: Any) -> str:
    """JSON as Python writes it, in double quotes."""
    match value:
        case dict():
            inside = ", ".join(
                f"{json.dumps(key)}: {_python_value(each)}" for key, each in value.items()
            )
            return f"{{{inside}}}"
        case list():
            return f"[{', '.join(_python_value(each) for each in value)}]"
        case bool() | None:
            return str(value)
    return json.dumps(value, ensure_ascii=False)


def _javascript(call: Call) -> str:
    options = [] if call.method == "get" else [f'method: "{call.method.upper()}"']
    headers = call.headers()
    if call.facts and call.media == JSON:
        headers["Content-Type"] = JSON
    if headers:
        options.append(f"headers: {json.dumps(headers)}")
    if call.facts:
        compact = json.dumps(call.facts, ensure_ascii=False)
        body = (
            f"JSON.stringify({compact})"
            if call.media == JSON
            else f"new URLSearchParams({compact})"
        )
        options.append(f"body: {body}")
    shown = {JSON: ", await response.json()", CSV: ", await response.text()"}
    return "\n".join(
        [
            f"const response = await fetch({json.dumps(call.url())}, {{",
            *(f"    {option}," for option in options),
            "});",
            f"console.log(response.status{shown.get(call.answers or '', '')});",
        ]
    )

"""Texts about an API token, to be copied: how to send it, and what it is."""

import json
from textwrap import dedent
from typing import NamedTuple

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.authorization.scopes import own_scope
from apitokens.models import APIToken

VARIABLE = "API_TOKEN"
"""The environment variable that programs read: a token does not belong into source code."""


class Sample(NamedTuple):
    key: str
    label: str | Promise
    text: str
    is_secret: bool = False
    """Whether the token is in it."""


def samples(
    token: str, *, account_id: int, base_url: str, scopes: list[str] | None = None
) -> list[Sample]:
    """For a new token. All ask for the tokens of the account; or for a token with scopes that do
    not let it, whether it is good. In single quotes, because shells eat `$`."""
    python, javascript = _programs(scopes)
    texts: list[tuple[str, str | Promise, str]] = [
        ("header", _("Header"), "Authorization: APIKey <token>"),
        ("curl", "curl", "curl -H 'Authorization: APIKey <token>' '<url>'"),
        ("python", "Python", python),
        ("javascript", "JavaScript", javascript),
        ("terraform", "Terraform", _TERRAFORM),
        ("env", ".env", f"{VARIABLE}='<token>'"),
    ]
    url = _url(base_url, f"/iam/clients/{account_id}/tokens", scopes)
    return [
        Sample(key, label, _fill(text, url=url, token=token), "<token>" in text)
        for key, label, text in texts
    ]


def copies(token: APIToken, *, base_url: str) -> list[Sample]:
    """For a token whose secret nobody has here. The programs ask for the token itself."""
    page = reverse("apitokens:token", kwargs={"account_id": token.account_id, "pk": token.pk})
    path = f"/iam/clients/{token.account_id}/tokens/{token.pk}"
    url = _url(base_url, path, token.held_scopes)
    python, javascript = _programs(token.held_scopes)
    curl = f"curl -H \"Authorization: APIKey ${VARIABLE}\" '{url}'"
    return [
        Sample("id", _("ID"), str(token.pk)),
        Sample("link", _("Link"), f"{base_url}{page}"),
        Sample("curl", "curl", curl),
        Sample("python", "Python", _fill(python, url=url)),
        Sample("javascript", "JavaScript", _fill(javascript, url=url)),
        Sample("json", "JSON", _json(token)),
    ]


def _url(base_url: str, path: str, scopes: list[str] | None) -> str:
    """The address of what the token may ask for: at least whether it is good."""
    return f"{base_url}{path if _may_read_tokens(scopes) else '/iam/auth/verify'}"


def _programs(scopes: list[str] | None) -> tuple[str, str]:
    """In Python and in JavaScript. The answer whether a token is good has no body."""
    if _may_read_tokens(scopes):
        return _PYTHON, _JAVASCRIPT
    python = _PYTHON.replace("json.load(answer)", "answer.status").replace("json, ", "")
    return python, _JAVASCRIPT.replace("await answer.json()", "answer.status")


def _may_read_tokens(scopes: list[str] | None) -> bool:
    return scopes is None or own_scope("tokens", is_reading=True) in scopes


def _fill(text: str, *, url: str, token: str = "") -> str:
    return dedent(text).strip().replace("<url>", url).replace("<token>", token)


def _json(token: APIToken) -> str:
    facts = {
        "id": token.pk,
        "name": token.name,
        "role": str(token.held_role.label),
        "scopes": token.held_scopes,
        "issued_by": token.issuer.user.email,
        "created": token.created_at.isoformat(),
        "expires": token.expires_at and token.expires_at.isoformat(),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)


_PYTHON = """
    import json, os, urllib.request

    request = urllib.request.Request(
        "<url>",
        headers={"Authorization": f"APIKey {os.environ['API_TOKEN']}"},
    )
    with urllib.request.urlopen(request) as answer:
        print(json.load(answer))
"""
_JAVASCRIPT = """
    const answer = await fetch("<url>", {
      headers: { Authorization: `APIKey ${process.env.API_TOKEN}` },
    });
    console.log(await answer.json());
"""
_TERRAFORM = """
    # terraform.tfvars: keep it out of version control
    api_token = "<token>"

    # main.tf
    variable "api_token" {
      type      = string
      sensitive = true
    }

    data "http" "api_tokens" {
      url             = "<url>"
      request_headers = { Authorization = "APIKey ${var.api_token}" }
    }
"""

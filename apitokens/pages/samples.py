"""Texts about an API token, to be copied: how to send it, and what it is."""

import json
from textwrap import dedent
from typing import NamedTuple

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apitokens.models import APIToken

VARIABLE = "API_TOKEN"
"""The environment variable that programs read: a token does not belong into source code."""


class Sample(NamedTuple):
    key: str
    label: str | Promise
    text: str
    is_secret: bool = False
    """Whether the token is in it."""


def samples(token: str, *, account_id: int, base_url: str) -> list[Sample]:
    """For a new token. All ask for the tokens of the account. In single quotes, because shells eat
    `$`."""
    texts: list[tuple[str, str | Promise, str]] = [
        ("header", _("Header"), "Authorization: APIKey <token>"),
        ("curl", "curl", "curl -H 'Authorization: APIKey <token>' '<url>'"),
        ("python", "Python", _PYTHON),
        ("javascript", "JavaScript", _JAVASCRIPT),
        ("terraform", "Terraform", _TERRAFORM),
        ("env", ".env", f"{VARIABLE}='<token>'"),
    ]
    url = f"{base_url}/iam/clients/{account_id}/tokens"
    return [
        Sample(key, label, _fill(text, url=url, token=token), "<token>" in text)
        for key, label, text in texts
    ]


def copies(token: APIToken, *, base_url: str) -> list[Sample]:
    """For a token whose secret nobody has here. The programs ask for the token itself."""
    page = reverse("apitokens:token", kwargs={"account_id": token.account_id, "pk": token.pk})
    url = f"{base_url}/iam/clients/{token.account_id}/tokens/{token.pk}"
    curl = f"curl -H \"Authorization: APIKey ${VARIABLE}\" '{url}'"
    return [
        Sample("id", _("ID"), str(token.pk)),
        Sample("link", _("Link"), f"{base_url}{page}"),
        Sample("curl", "curl", curl),
        Sample("python", "Python", _fill(_PYTHON, url=url)),
        Sample("javascript", "JavaScript", _fill(_JAVASCRIPT, url=url)),
        Sample("json", "JSON", _json(token)),
    ]


def _fill(text: str, *, url: str, token: str = "") -> str:
    return dedent(text).strip().replace("<url>", url).replace("<token>", token)


def _json(token: APIToken) -> str:
    facts = {
        "id": token.pk,
        "name": token.name,
        "role": str(token.held_role.label),
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

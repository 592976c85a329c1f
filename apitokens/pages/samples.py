"""Ways to send an API token, to be copied: as a header, in a shell, in programs and settings."""

from textwrap import dedent
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

VARIABLE = "API_TOKEN"
"""The environment variable that programs read: a token does not belong into source code."""


class Sample(NamedTuple):
    key: str
    label: str | Promise
    text: str
    is_secret: bool
    """Whether the token is in it."""


def samples(token: str, *, account_id: int, base_url: str) -> list[Sample]:
    """All of them ask for the tokens of the account. In single quotes, because shells eat `$`."""
    url = f"{base_url}/iam/clients/{account_id}/tokens"
    texts: list[tuple[str, str | Promise, str]] = [
        ("header", _("Header"), f"Authorization: APIKey {token}"),
        ("curl", "curl", f"curl -H 'Authorization: APIKey {token}' '{url}'"),
        ("python", "Python", _PYTHON),
        ("javascript", "JavaScript", _JAVASCRIPT),
        ("terraform", "Terraform", _TERRAFORM),
        ("env", ".env", f"{VARIABLE}='{token}'"),
    ]
    return [
        Sample(key, label, written := _fill(text, url=url, token=token), token in written)
        for key, label, text in texts
    ]


def _fill(text: str, *, url: str, token: str) -> str:
    return dedent(text).strip().replace("<url>", url).replace("<token>", token)


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

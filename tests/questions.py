"""What the form of a page sends along unseen, as a browser would."""

import re
from html import unescape
from urllib.parse import urlencode

from django.test import Client


def hidden_fields(client: Client, address: str, *, to: str = "") -> dict[str, str]:
    """The hidden fields of the page at this address: of the form that is sent `to` a path alone, if
    there is one."""
    page = client.get(address).content.decode()
    if to:
        (page,) = re.findall(rf'<form[^>]*action="{re.escape(to)}".*?</form>', page, re.DOTALL)
    tags = [
        dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", page)
    ]
    return {
        tag["name"]: unescape(tag.get("value", ""))
        for tag in tags
        if tag.get("type") == "hidden" and tag["name"] != "csrfmiddlewaretoken"
    }


def suggested(client: Client, page: str, text: str) -> list[int]:
    """The ids of the users whom the last field of the page that chooses people suggests."""
    address = unescape(re.findall(r'data-people="([^"]*)"', page)[-1])
    joined = "&" if "?" in address else "?"
    found = client.get(f"{address}{joined}{urlencode({'q': text})}").json()["people"]
    return [int(each["id"]) for each in found]

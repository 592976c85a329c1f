"""What the form of a page sends along unseen, as a browser would."""

import re
from html import unescape

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

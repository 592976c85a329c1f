"""The page that shows a new token, this once.

It is made before the token is, with marks in the places of what is not known yet. Whatever fails in
reading or rendering so fails while there is no token; afterwards marks are replaced, and no more.
"""

import logging
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.roles import Role
from accounts.tenancy.decorators import MemberRequest
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.pages.listing import listing
from apitokens.pages.samples import samples
from apitokens.scopes.rules import summary

logger = logging.getLogger(__name__)

BEHIND_DIALOG, ROWS_BEHIND_DIALOG = "page_size=10", 6
"""The list behind a secret is only seen from afar, and its page is not compressed: with ten rows it
was more than the 60 kB that every page has. Nor do its rows have anything to press."""
_MARKS_BEGIN = 10**18
"""Above all ids that are drawn; an address takes it for one."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Random marks in the places of the id and of the token, which nobody could have typed."""

    id: int = field(default_factory=lambda: _MARKS_BEGIN + secrets.randbelow(_MARKS_BEGIN))
    token: str = field(default_factory=lambda: f"token-{secrets.token_hex(16)}")


@dataclass(frozen=True, slots=True)
class Reveal:
    """The page, ready but for the token."""

    page: str
    marks: Marks

    @sensitive_variables()
    def show(self, key: Key) -> HttpResponse:
        """The answer. A token is digits, letters and `$`: HTML needs no escapes for it."""
        page = self.page.replace(str(self.marks.id), str(key.id))
        return HttpResponse(page.replace(self.marks.token, key.spell("$")))


def prepare(request: MemberRequest, *, name: str, role: Role, scopes: list[str] | None) -> Reveal:
    """Make the page: the dialog before the list of tokens; whatever hinders that, alone."""
    marks = Marks()
    about = {"name": name.strip(), "role": role, "scopes": summary(scopes)}
    issued = _facts(request, marks, scopes) | about
    return _made(request, issued, marks, more=1)


def prepare_rotated(request: MemberRequest, *, token: APIToken, old_ends_at: datetime) -> Reveal:
    """The same for a token that is given a new secret."""
    marks = Marks()
    about = {"account_id": token.account_id, "pk": token.pk}
    rotated = {
        "name": token.name,
        "role": token.held_role,
        "scopes": summary(token.held_scopes),
        "is_rotated": True,
        "old_ends_at": old_ends_at if old_ends_at > timezone.now() else None,
        "created_url": reverse("apitokens:rotated", kwargs=about),
        "first_request_url": "",  # the token has had its first one
    }
    return _made(request, _facts(request, marks, token.held_scopes) | rotated, marks, more=0)


def _made(request: MemberRequest, issued: dict[str, Any], marks: Marks, *, more: int) -> Reveal:
    """The page that shows it. `more`: tokens that count against the limit from now on."""
    shown = {"issued": issued}
    try:
        page = render(request, "apitokens/created.html", _list_behind(request, more) | shown)
        return Reveal(page.content.decode(), marks)
    except Exception:
        logger.exception("A new API token is shown without the list behind it.")
        return Reveal(render_to_string("apitokens/created/alone.html", shown), marks)


def _facts(request: MemberRequest, marks: Marks, scopes: list[str] | None) -> dict[str, Any]:
    account_id = request.member.account_id
    about = {"account_id": account_id, "pk": marks.id}
    return {
        "plaintext": marks.token,
        "samples": samples(
            marks.token, scopes=scopes, account_id=account_id, base_url=settings.BASE_URL
        ),
        "list_url": reverse("apitokens:list", kwargs={"account_id": account_id}),
        "created_url": reverse("apitokens:created", kwargs=about),
        "first_request_url": reverse("apitokens:first_request", kwargs=about),
    }


def _list_behind(request: MemberRequest, more: int) -> dict[str, Any]:
    """The list as it is now, but with a new token counted."""
    at, account = timezone.now(), request.member.account
    context = listing(QueryDict(BEHIND_DIALOG), account=account, actor=request.actor, at=at)
    usage = context["usage"]
    counted = usage._replace(in_use=usage.in_use + more)
    rows = context["rows"][:ROWS_BEHIND_DIALOG]
    return context | {"usage": counted, "rows": rows, "is_behind_secret": True}

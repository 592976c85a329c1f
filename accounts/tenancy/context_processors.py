"""Context processor of the page layout."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.tenancy.decorators import memberships_of, shown_member
from accounts.tenancy.registration_policy import is_open_for_sign_up

PAGES = {
    "account": "accounts:account",
    "users": "accounts:people",
    "api-tokens": "apitokens:list",
    "audit-log": "accounts:audit_log",
    "notifications": "notifications:settings",
    "inbox": "notifications:inbox",
}
"""Sections of an account and their first pages. All but the inbox, which has the bell, have an
entry of their own in the sidebar."""

LED_TO_FROM = {"services": "account", "access": "users"}
"""Pages about API tokens to which another section leads, and back."""


def layout(request: HttpRequest) -> dict[str, Any]:
    """Add `section`, the page's entry in the sidebar, `section_page`, which other accounts have
    too, and `member` and `memberships`, which query the database only when the page shows them."""
    section = section_of(request.path_info)
    return {
        "section": section,
        "section_page": PAGES.get(section, PAGES["api-tokens"]),
        **_membership_context(request),
    }


def section_of(path: str) -> str:
    """One of `PAGES`, "profile" for pages of the person, "" for all others."""
    _root, first, *rest = [*path.split("/"), ""]
    if first == "profile":
        return rest[0] if rest[0] in PAGES else "profile"
    if first != "accounts" or not rest[0].isdecimal():
        return ""
    return _section_of_account(rest[1], rest[2] if len(rest) > 2 else "")


def _section_of_account(first: str, second: str) -> str:
    if first in ("", "single-sign-on"):
        return "account"
    if first == "notifications":
        return "notifications" if second == "settings" else "inbox"
    if first == "api-tokens":
        return LED_TO_FROM.get(second, first)
    return first if first in PAGES else ""


def _membership_context(request: HttpRequest) -> dict[str, Any]:
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return {
            "member": None,
            "memberships": [],
            "is_open_for_sign_up": is_open_for_sign_up(),
        }
    return {
        "member": SimpleLazyObject(lambda: shown_member(request)),
        "memberships": SimpleLazyObject(lambda: memberships_of(request)),
    }

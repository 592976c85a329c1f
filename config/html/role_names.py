"""The template filter `role_names`: text in which the names of roles say that they are English."""

import re
from functools import cache
from typing import Any

from django.template import Library
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from accounts.roles import Role

register = Library()


@register.filter
def role_names(text: Any) -> SafeString:
    """A text, or what has one (such as a message), as HTML. English pages need no mark."""
    escaped = SafeString(conditional_escape(str(text)))
    if (get_language() or "en").startswith("en"):
        return escaped
    return mark_safe(_names().sub(r'<span lang="en">\g<0></span>', escaped))  # noqa: S308  # escaped


@cache
def _names() -> re.Pattern[str]:
    longest_first = sorted(Role.labels, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

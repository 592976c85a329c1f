"""The template filter `inline_code`: text in which `words in backticks` are code."""

import re

from django.template import Library
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = Library()
_QUOTED = re.compile(r"`([^`\n]+)`")


@register.filter
def inline_code(text: str) -> SafeString:
    """The text as HTML, escaped before anything is marked."""
    return mark_safe(_QUOTED.sub(r"<code>\1</code>", escape(text)))  # noqa: S308  # escaped

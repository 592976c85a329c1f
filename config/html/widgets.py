"""The controls of forms, as valid HTML whatever was typed."""

from typing import Any

from django.forms.renderers import DjangoTemplates
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

NUL, REPLACEMENT = "\0", "\N{REPLACEMENT CHARACTER}"


class Renderer(DjangoTemplates):
    """Django's, but for two things that HTML does not have: a NUL, which a form that was refused
    shows as it was sent, and hidden fields with `aria-*`, which Django gives to the initial value
    of a field with a mistake."""

    def render(
        self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None
    ) -> SafeString:
        widget = context.get("widget", {})
        if widget.get("type") == "hidden":
            known = widget["attrs"].items()
            seen = {name: value for name, value in known if not name.startswith("aria-")}
            context = {**context, "widget": {**widget, "attrs": seen}}
        drawn = super().render(template_name, context, request)
        return mark_safe(drawn.replace(NUL, REPLACEMENT))  # noqa: S308  # no less safe than before

"""The operators' page about services, with the scopes of tokens: of all accounts, or of one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.admin.filters import ListAdmin
from accounts.admin.mixins import moment
from accounts.authorization.actor import Actor
from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.tenancy.decorators import operator_of
from apitokens.models import Service
from apitokens.scopes import services
from apitokens.scopes.services import ScopeFacts

FIELDS = {"scopes": "scope_lines", "names": "in_other_languages"}
"""Where the form has what the service calls otherwise."""


class ServiceForm(ConcurrentEdits, forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Scopes as lines: a code, what it allows, and perhaps that in other languages."""

    by: Actor
    in_other_languages = forms.CharField(
        label=_("Name in other languages"),
        required=False,
        widget=AdminTextInputWidget,
        help_text=_("For example: de=Inhalte | ru=Контент"),
    )
    scope_lines = forms.CharField(
        label=_("Scopes"),
        widget=AdminTextareaWidget({"rows": 8}),
        help_text=_("One in each line, for example: purge | Purge the cache | de=Cache leeren"),
    )

    class Meta:
        model = Service
        fields = ["account", "code", "name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            scopes = self.instance.scopes.all()
            self.initial["in_other_languages"] = _in_line([], self.instance.names)
            self.initial["scope_lines"] = "\n".join(
                _in_line([each.code, each.name], each.names) for each in scopes
            )

    def _post_clean(self) -> None:
        """Let the service say what it would refuse: nothing is kept of this try."""
        if self.errors:
            return
        try:
            with transaction.atomic():
                self.apply(at=timezone.now())
                transaction.set_rollback(True)
        except ValidationError as refusal:
            errors = getattr(refusal, "error_dict", None) or {None: refusal}
            for field, error in errors.items():
                self.add_error(FIELDS.get(field, field), error)

    def apply(self, *, at: datetime) -> Service:
        """Register the service, or edit it."""
        facts: dict[str, Any] = {
            "name": self.cleaned_data["name"],
            "names": _names(self.cleaned_data["in_other_languages"].split("|")),
            "scopes": [
                _scope(line)
                for line in self.cleaned_data["scope_lines"].splitlines()
                if line.strip()
            ],
            "by": self.by,
            "at": at,
        }
        if self.instance.pk:
            return services.edit(service=self.instance, **facts)
        given = {name: self.cleaned_data[name] for name in ("account", "code")}
        return services.register(**given, **facts)


@admin.register(Service)
class ServiceAdmin(ListAdmin):
    form = ServiceForm
    actions = None
    list_display = ["code", "name", "account", "registered"]
    search_fields = ["code", "name", "account__name"]
    ordering = ["code", "pk"]
    raw_id_fields = ["account"]

    def get_fields(self, request: HttpRequest, obj: Service | None = None) -> Any:
        return ["account", "code", "name", "in_other_languages", "scope_lines"]

    def get_readonly_fields(self, request: HttpRequest, obj: Service | None = None) -> Any:
        return ["account", "code"] if obj else []

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **facts: Any) -> Any:
        form: Any = super().get_form(request, obj, *args, **facts)
        form.by = operator_of(request)
        return form

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        found: QuerySet[Service] = super().get_queryset(request)
        return found.select_related("account")

    @admin.display(description=_("registered"), ordering="created_at")
    def registered(self, service: Service) -> str:
        return moment(service.created_at)

    def save_model(self, request: HttpRequest, obj: Service, form: Any, change: bool) -> None:
        saved = form.apply(at=timezone.now())
        obj.pk, obj.code = saved.pk, saved.code  # for the record and the message about it

    def get_deleted_objects(
        self, objs: Iterable[Service], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Only the services: what else must go first, the service says."""
        names = [str(service) for service in objs]
        return names, {str(self.opts.verbose_name_plural): len(names)}, set(), []

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        scopes = list(context["object"].scopes.all())
        shown = {"scopes": scopes, "shown": services.snapshot(scopes)}
        answer: HttpResponse = super().render_delete_form(request, context | shown)
        return answer

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as refusal:
            self.message_user(request, " ".join(refusal.messages), messages.ERROR)
            page = reverse("admin:apitokens_service_change", args=[object_id])
            return HttpResponseRedirect(page)

    def delete_model(self, request: HttpRequest, obj: Service) -> None:
        by, at, shown = operator_of(request), timezone.now(), request.POST.get("shown")
        services.remove(service=obj, shown=shown, by=by, at=at)


def _in_line(first: list[str], names: dict[str, str]) -> str:
    return " | ".join([*first, *(f"{language}={text}" for language, text in names.items())])


def _scope(line: str) -> ScopeFacts:
    code, _bar, rest = line.partition("|")
    name, *others = rest.split("|")
    return ScopeFacts(code.strip(), name.strip(), _names(others))


def _names(parts: list[str]) -> dict[str, str]:
    """By language, as `de=Name`. Raises `ValidationError` for what is none."""
    names = {}
    for part in filter(None, map(str.strip, parts)):
        language, sign, text = part.partition("=")
        if not sign or language.strip() not in services.LANGUAGES:
            raise ValidationError(
                _("Write names in other languages as de=Name. “%(part)s” is none."),
                params={"part": part[:60]},
            )
        names[language.strip()] = text.strip()
    return names

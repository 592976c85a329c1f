"""The operators' page about verifier keys: make one, which is shown once, and delete it."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from accounts.admin.filters import ListAdmin
from accounts.admin.mixins import moment
from accounts.tenancy.decorators import operator_of
from apitokens.models import VerifierKey
from apitokens.verification import verifier_keys
from apitokens.verification.verifier_keys import IssuedVerifier


@admin.register(VerifierKey)
class VerifierKeyAdmin(ListAdmin):
    """Keys are made and deleted, never edited. Digests are not shown."""

    actions = None
    list_display = ["id", "name", "service", "state", "created", "last_usage"]
    list_select_related = ["service"]
    list_display_links = ["id", "name"]
    search_fields = ["name", "id__exact"]
    ordering = ["-created_at", "-pk"]

    def get_fields(self, request: HttpRequest, obj: VerifierKey | None = None) -> Any:
        known = ["id", "name", "service", "state", "created", "last_usage", "last_used_address"]
        return [*known, "deleted"] if obj else ["name", "service"]

    def get_readonly_fields(self, request: HttpRequest, obj: VerifierKey | None = None) -> Any:
        return self.get_fields(request, obj) if obj else []

    def get_form(
        self, request: Any, obj: Any | None = None, change: bool = False, **facts: Any
    ) -> Any:
        """A service is chosen here, and changed on its own page alone."""
        form: Any = super().get_form(request, obj, change, **facts)
        if "service" in form.base_fields:
            widget = form.base_fields["service"].widget
            widget.can_change_related = widget.can_delete_related = widget.can_view_related = False
        return form

    def has_change_permission(self, request: HttpRequest, obj: VerifierKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: VerifierKey | None = None) -> bool:
        gone = obj is not None and obj.deleted_at is not None
        return super().has_delete_permission(request, obj) and not gone

    @admin.display(description=_("status"))
    def state(self, verifier: VerifierKey) -> str:
        return _t("Deleted") if verifier.deleted_at else _t("Active")

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, verifier: VerifierKey) -> str:
        return moment(verifier.created_at)

    @admin.display(description=_("last usage"), ordering="last_used_at")
    def last_usage(self, verifier: VerifierKey) -> str:
        return moment(verifier.last_used_at) if verifier.last_used_at else _t("Not used yet")

    @admin.display(description=_("deleted"))
    def deleted(self, verifier: VerifierKey) -> str:
        return moment(verifier.deleted_at)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One button is enough: whatever is saved, the key is shown next."""
        fewer = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**(extra_context or {}), **fewer})

    @sensitive_variables("issued")
    def save_model(self, request: HttpRequest, obj: VerifierKey, form: Any, change: bool) -> None:
        by, at = operator_of(request), timezone.now()
        issued = verifier_keys.issue_verifier(name=obj.name, service=obj.service, by=by, at=at)
        obj.pk = issued.verifier.pk
        request._issued = issued  # type: ignore[attr-defined]  # for the answer to this request

    @sensitive_variables()
    def response_add(
        self, request: HttpRequest, obj: VerifierKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the key in the answer itself: it is kept nowhere. The page is made before the change
        is committed, so that nothing can fail between that and its showing."""
        issued: IssuedVerifier = request._issued  # type: ignore[attr-defined]  # see save_model
        context = {
            **self.admin_site.each_context(request),
            "title": _t("New verifier key created"),
            "verifier": issued.verifier,
            "plaintext": issued.key.spell("_"),
        }
        template = "admin/apitokens/verifierkey/shown_once.html"
        answer = TemplateResponse(request, template, context).render()
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def get_deleted_objects(
        self, objs: Iterable[VerifierKey], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Only the keys: their rows stay as tombstones, so nothing goes with them."""
        names = [str(verifier) for verifier in objs]
        may = self.has_delete_permission(request)
        lacking = set() if may else {str(self.opts.verbose_name)}
        return names, {str(self.opts.verbose_name_plural): len(names)}, lacking, []

    def delete_model(self, request: HttpRequest, obj: VerifierKey) -> None:
        verifier_keys.delete_verifier(verifier=obj, by=operator_of(request), at=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VerifierKey]) -> None:
        for verifier in queryset:
            self.delete_model(request, verifier)

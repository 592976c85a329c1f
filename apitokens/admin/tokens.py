"""The operators' pages about API tokens: to look, and to delete through the service."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from accounts.admin.accounts import AccountAdmin
from accounts.admin.filters import AccountFilter, ListAdmin, is_id, is_text
from accounts.admin.long_lists import accounts_named, fits, has, users_named
from accounts.admin.mixins import links, moment
from accounts.models import Account, Membership
from accounts.tenancy.decorators import operator_of
from accounts.text.searches import ids_or_query
from accounts.validators import id_in
from apitokens.addresses.rules import in_words
from apitokens.cache.in_force import end_tokens_on_commit
from apitokens.lookup.forms import LookUpForm
from apitokens.lookup.notifications import tell
from apitokens.models import APIToken, APITokenQuerySet, Status
from apitokens.tokens import services as token_services
from apitokens.tokens.rules import Issuers, read_issuers, with_issuers

MOST_AT_ONCE = 500
"""A browser's form holds no more; `manage.py revoke_tokens` does."""


LONGEST_SHOWN = 60
"""Characters of a name in the list; the token's own page has all of them."""


class StatusFilter(admin.SimpleListFilter):
    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return list(Status.choices)

    def queryset(self, request: HttpRequest, queryset: APITokenQuerySet) -> APITokenQuerySet:  # type: ignore[override]  # the admin's querysets are ours
        return queryset.with_status(self.value() or "", timezone.now())


@admin.register(APIToken)
class APITokenAdmin(ListAdmin):
    """Operators look at tokens and delete them. Digests are not shown."""

    actions = ["delete_selected"]
    asks_first = {"delete_selected"}
    fields = [
        *("id", "name", "description", "account", "issued_by", "role", "limited_to", "status"),
        *("created", "expiration", "last_usage", "last_used_address", "deleted_at", "deleted_by"),
        *("rotations", "rotated_at", "old_secret_ends", "old_secret_usage"),
        *("allowed_from", "see_also"),
    ]
    readonly_fields = [
        *("issued_by", "limited_to", "status", "created", "expiration", "last_usage"),
        *("rotations", "rotated_at", "old_secret_ends", "old_secret_usage", "allowed_from"),
        "see_also",
    ]
    list_display = [
        *("id", "short_name", "account", "issued_by", "role", "status"),
        *("created", "expiration", "last_usage"),
    ]
    list_display_links = ["id", "short_name"]
    list_filter = [StatusFilter, "role", AccountFilter]
    lookups = {"status": is_text, "role__exact": is_id, "account": is_text}
    list_max_show_all = MOST_AT_ONCE
    change_list_template = "admin/apitokens/apitoken/change_list.html"
    search_fields = ["name", "issuer__user__email", "issuer__user__name", "account__name"]
    search_help_text = _("Search by token name, ID, account, or the issuer's name or email.")
    ordering = ["-created_at", "-pk"]
    sorted_by_index = ["id", "created"]

    def get_urls(self) -> list[URLPattern]:
        look_up = self.admin_site.admin_view(sensitive_post_parameters()(self.look_up))
        return [path("look-up/", look_up, name="apitokens_apitoken_look_up"), *super().get_urls()]

    def look_up(self, request: HttpRequest) -> HttpResponse:
        """Find a token of any account by the whole of it, as Administrators do in theirs."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = LookUpForm(request.POST if request.method == "POST" else None)
        found = form.find(by=operator_of(request)) if form.is_bound else None
        if found is not None:
            tell(request, found)
            page = reverse("admin:apitokens_apitoken_change", args=[found.token.pk])
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": _t("Look up a token"),
            "opts": self.opts,
            "form": form,
        }
        status = 400 if form.is_bound else 200
        return TemplateResponse(
            request, "admin/apitokens/apitoken/look_up.html", context, status=status
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: APIToken | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: APIToken | None = None) -> bool:
        gone = obj is not None and obj.is_deleted
        return super().has_delete_permission(request, obj) and not gone

    def get_queryset(self, request: HttpRequest) -> APITokenQuerySet:
        return APIToken.objects.for_display().select_related("account").order_by(*self.ordering)

    def matches(self, word: str) -> Q:
        token_id = id_in(word)
        own = has("name", word) if token_id is None else has("name", word) | Q(pk=token_id)
        issuers = Membership.objects.filter(user__in=ids_or_query(users_named(word)))
        return fits(own, [("issuer", issuers), ("account", accounts_named(word))])

    @admin.display(description=_("token name"), ordering="name")
    def short_name(self, token: APIToken) -> str:
        return Truncator(token.name).chars(LONGEST_SHOWN)

    @admin.display(description=_("issued by"), ordering="issuer__user__email")
    def issued_by(self, token: APIToken) -> str:
        issuer = token.issuer
        return issuer.user.name if issuer.is_service_account else issuer.user.email

    @admin.display(description=_("scopes"))
    def limited_to(self, token: APIToken) -> str:
        if token.scopes is None:
            return _t("Everything that its role allows")
        return token.scopes

    @admin.display(description=_("status"))
    def status(self, token: APIToken) -> str:
        return str(token.status(timezone.now()).label)

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, token: APIToken) -> str:
        return moment(token.created_at)

    @admin.display(description=_("expiration"), ordering="expires_at")
    def expiration(self, token: APIToken) -> str:
        return moment(token.expires_at) if token.expires_at else _t("Never")

    @admin.display(description=_("last usage"), ordering="last_used_at")
    def last_usage(self, token: APIToken) -> str:
        return moment(token.last_used_at) if token.last_used_at else _t("Not used yet")

    @admin.display(description=_("old secret works until"))
    def old_secret_ends(self, token: APIToken) -> str:
        old = token.former_secret
        return moment(old.ends_at) if old else _t("There is none")

    @admin.display(description=_("last usage of the old secret"))
    def old_secret_usage(self, token: APIToken) -> str:
        old = token.former_secret
        if old is None or old.last_used_at is None:
            return _t("Not used yet")
        return f"{moment(old.last_used_at)} {old.last_used_address or ''}".strip()

    @admin.display(description=_("allowed addresses"))
    def allowed_from(self, token: APIToken) -> str:
        return in_words(token.allowed_addresses) or _t("All")

    @admin.display(description=_("see also"))
    def see_also(self, token: APIToken) -> SafeString:
        about = {"subject_type": "apitoken", "subject_id": token.pk}
        return links(
            (_("Token history"), "accounts_auditevent", about),
            (_("Activity with this token"), "accounts_auditevent", {"through_token": token.pk}),
        )

    def get_deleted_objects(
        self, objs: Iterable[APIToken], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Only the tokens: their rows stay as tombstones, so nothing goes with them."""
        names = [str(token) for token in objs]
        may = self.has_delete_permission(request)
        lacking = set() if may else {str(self.opts.verbose_name)}
        return names, {str(self.opts.verbose_name_plural): len(names)}, lacking, []

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        shown = {"shown": with_issuers([context["object"]])}
        answer: HttpResponse = super().render_delete_form(request, context | shown)
        return answer

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as refusal:
            self.message_user(request, " ".join(refusal.messages), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def delete_model(self, request: HttpRequest, obj: APIToken) -> None:
        by, at, issuers = operator_of(request), timezone.now(), _shown_issuers(request)
        token_services.delete(token=obj, issuers=issuers, by=by, at=at)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[APIToken]) -> None:
        by, at, issuers = operator_of(request), timezone.now(), _shown_issuers(request)
        token_services.delete_all(tokens=queryset, issuers=issuers, by=by, at=at)

    @admin.action(permissions=["delete"], description=_("Delete selected API tokens"))
    def delete_selected(
        self, request: HttpRequest, queryset: APITokenQuerySet
    ) -> HttpResponse | None:
        """Ask, then delete those that nobody has deleted yet."""
        end_tokens_on_commit(queryset.deleted())
        tokens = queryset.undeleted()
        number = tokens.count()
        if not 0 < number <= MOST_AT_ONCE:
            self.message_user(request, _why_not(number), messages.WARNING)
            return None
        try:
            with transaction.atomic():
                answer: Any = delete_selected(self, request, tokens)
        except ValidationError as refusal:
            self.message_user(request, " ".join(refusal.messages), messages.ERROR)
            return None
        if answer is not None:
            answer.context_data["shown"] = with_issuers(tokens)
        return answer  # type: ignore[no-any-return]  # a page, or None


admin.site.unregister(Account)


@admin.register(Account)
class AccountWithTokensAdmin(AccountAdmin):
    """Accounts, with what only this app knows: how many of their tokens are in use."""

    fields = [*AccountAdmin.fields[:2], "in_use", *AccountAdmin.fields[2:]]
    readonly_fields = ["in_use", *AccountAdmin.readonly_fields]
    list_display = ["name", "id", "in_use", *AccountAdmin.list_display[2:]]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        active = APIToken.objects.active(timezone.now()).filter(account=OuterRef("pk"))
        counted = active.order_by().values("account").annotate(number=Count("*")).values("number")
        in_use = Coalesce(Subquery(counted), 0, output_field=IntegerField())
        accounts: QuerySet[Account] = super().get_queryset(request)
        return accounts.annotate(in_use=in_use)

    @admin.display(description=_("API tokens in use"), ordering="in_use")
    def in_use(self, account: Any) -> int:
        number: int = account.in_use
        return number

    def see_also(self, account: Account) -> SafeString:
        tokens = links((_("API tokens"), "apitokens_apitoken", {"account": account.pk}))
        return format_html("{} · {}", tokens, super().see_also(account))


def _shown_issuers(request: HttpRequest) -> Issuers:
    """The tokens that the question has shown, and their issuers as it has shown them."""
    return read_issuers(request.POST.get("shown", ""))


def _why_not(number: int) -> str:
    if number == 0:
        return _t("The selected API tokens have already been deleted.")
    return _t(
        "You can delete at most %(most)d API tokens at a time here. Select fewer, or use "
        "manage.py revoke_tokens."
    ) % {"most": MOST_AT_ONCE}

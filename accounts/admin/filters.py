"""Filters of the admin's lists, and a list that refuses all other lookups."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR, IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import (
    ORDER_VAR,
    SEARCH_VAR,
    ChangeList,
    ChangeListSearchForm,
)
from django.contrib.admin.widgets import ForeignKeyRawIdWidget, RelatedFieldWidgetWrapper
from django.core.exceptions import BadRequest, FieldDoesNotExist
from django.core.paginator import InvalidPage
from django.db.models import Q, QuerySet, UUIDField
from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from accounts.admin.long_lists import Inside, OperatorsPaginator, is_short, words_in
from accounts.audit import labels
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from accounts.text.expressions import Folded, in_order, is_written
from accounts.validators import parse_id
from notifications.bounded_pages import MOST_COUNTED

ACCOUNTS_TO_CHOOSE_FROM = 50
EVENTS_TO_LEARN_KINDS_FROM = 10_000
LONGEST_SEARCH = 255
TOO_LONG_TO_SORT = _(
    "A list of more than %(most)s rows can't be sorted by this column. Narrow it with a search or "
    "a filter."
)
ONLY_BEGINNINGS = _(
    "Words of one or two characters are looked for only at the beginning of names and addresses."
)
ONLY_SHOWN_ROWS = _(
    "This action works only on rows that the page shows, so nothing has been done. Select them on "
    "the page."
)


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def is_id(text: str) -> bool:
    return parse_id(text) is not None


def is_text(text: str) -> bool:
    """False for text with a NUL, which PostgreSQL refuses."""
    return "\0" not in text


def is_moment(text: str) -> bool:
    """True for a time that exists in every time zone: the calendar's first and last do not."""
    try:
        at = parse_datetime(text)
    except ValueError:
        return False
    return at is not None and 1 < at.year < 9999


class SearchForm(ChangeListSearchForm):
    """Refuses searches of more words than SQLite can look for at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[SEARCH_VAR] = forms.CharField(
            required=False, strip=False, max_length=LONGEST_SEARCH
        )


NAMES: dict[Any, str] = {Account: "name", User: "email", Membership: "user__email"}
"""How the rows are sorted to which a column leads."""


class SearchedList(ChangeList):
    search_form_class = SearchForm
    model_admin: Any  # a ListAdmin
    is_long = False
    """Whether it has more rows than are counted: then it has the order of an index."""

    def get_results(self, request: HttpRequest) -> None:
        """As Django's, but the rows are read by ids also if one page has them all."""
        paginator: Any = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        self.paginator, self.is_long = paginator, paginator.has_more
        if self.is_long and not self._is_sorted_by_index():
            paginator.object_list = self.queryset = self._sorted_by_index(request)
        self.show_full_result_count, self.full_result_count = False, None
        self.show_admin_actions = True
        self.result_count = paginator.count
        self.can_show_all = self.result_count <= self.list_max_show_all
        self.multi_page = self.result_count > self.list_per_page
        if self.show_all and self.can_show_all:
            self.result_list = self.queryset._clone()
            return
        try:
            page = paginator.page(self.page_num if self.multi_page else 1)
        except InvalidPage as error:
            raise IncorrectLookupParameters from error
        self.result_list = page.object_list

    def _is_sorted_by_index(self) -> bool:
        wanted = self.params.get(ORDER_VAR, "")
        place = wanted.removeprefix("-")
        if not wanted:
            return not self.model_admin.long_ordering
        names = dict(enumerate(map(str, self.list_display)))
        return place.isdecimal() and names.get(int(place)) in self.model_admin.sorted_by_index

    def _sorted_by_index(self, request: HttpRequest) -> QuerySet[Any]:
        if self.params.pop(ORDER_VAR, None):
            messages.info(request, TOO_LONG_TO_SORT % {"most": f"{MOST_COUNTED:,}"})
        order = map(self._as_people_sort, self._get_default_ordering())
        sorted_anew: QuerySet[Any] = self.queryset.order_by(*order)
        return sorted_anew

    def _get_default_ordering(self) -> Any:
        admin = self.model_admin
        return (self.is_long and admin.long_ordering) or admin.ordering

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """As Django's, but names and addresses as people sort them."""
        return [self._as_people_sort(part) for part in super().get_ordering(request, queryset)]

    def _as_people_sort(self, part: Any) -> Any:
        if not isinstance(part, str):
            return part
        path = part.removeprefix("-")
        try:
            field = get_fields_from_path(self.model, path)[-1]
        except FieldDoesNotExist:  # an annotation, or "pk"
            return part
        if name := NAMES.get(field.related_model):
            path = f"{path}__{name}"
        elif not is_written(field):
            return part
        # An index has addresses in an order that is the same in all languages.
        (order,) = [Folded(path).asc()] if path.endswith("email") else in_order(path)
        if part.startswith("-"):
            order.reverse_ordering()
        return order


WITH_POPUPS = (ForeignKeyRawIdWidget, RelatedFieldWidgetWrapper)
OF_POPUPS = ("vendor/jquery/jquery.min", "jquery.init", "admin/RelatedObjectLookups")


def _media(*names: str) -> forms.Media:
    return forms.Media(js=[f"admin/js/{name}.js" for name in names])


class ListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """A list that answers its own filters, links and boxes, and 400 to all other lookups.

    The Django admin lets an address look into any column by any means: `?password__startswith=`
    guesses a secret letter by letter, `?name__regex=(` is a fault of the database.
    """

    lookups: ClassVar[Mapping[str, Callable[[str], bool]]] = {}
    """The permitted lookups, each with the check of its value."""

    sorted_by_index: ClassVar[Sequence[str]] = ()
    """The columns by which a list can be sorted that has more rows than are counted."""

    long_ordering: ClassVar[Sequence[str]] = ()
    """The first order of such a list, where no index has that of shorter ones."""

    asks_first: ClassVar[Collection[str]] = ()
    """The actions that show what they would act on, and ask. All others act on rows that the list
    itself has shown: not on those of its other pages, which nobody has looked at."""

    change_form_template = "admin/concurrent_change_form.html"
    list_per_page = 50
    show_full_result_count = False
    paginator = OperatorsPaginator

    @property
    def media(self) -> forms.Media:
        """Django's scripts for forms, but for those of popups, which weigh as much as all else on
        the page, and those that make a slug of a name: no form here has one."""
        return _media("core")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form with the scripts of popups, if one of its fields has a popup. Refused as any
        form of the portal is, with 400: so it is compressed, too."""
        fields = context["adminform"].form.fields.values()
        if any(isinstance(field.widget, WITH_POPUPS) for field in fields):
            context["media"] += _media(*OF_POPUPS)
        page = super().render_change_form(request, context, *args, **kwargs)
        page.status_code = 400 if context["errors"] else page.status_code
        return page

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list with the scripts that lists need: those of popups only in a popup."""
        of_popups = OF_POPUPS if IS_POPUP_VAR in request.GET else ()
        more = {"media": _media("core", "actions", *of_popups), **(extra_context or {})}
        return super().changelist_view(request, more)

    def matches(self, word: str) -> Q | None:
        """The condition of rows that a word finds, where that takes more than one table. None: it
        is looked for in `search_fields`."""
        return None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = list(words_in(search_term))
        if words and all(map(is_short, words)):
            messages.info(request, ONLY_BEGINNINGS)
        else:
            words = [*map(Inside, words)]
        conditions = [self.matches(word) for word in words]
        found = [each for each in conditions if each is not None]
        if len(found) < len(conditions):
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(*found), False

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        return lookup in self.lookups and self.lookups[lookup](value)

    def get_changelist(self, request: HttpRequest, **_facts: Any) -> type[ChangeList]:
        return SearchedList

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run the action, unless a selected row has no possible id, or none of them was shown."""
        is_key = is_uuid if isinstance(self.opts.pk, UUIDField) else is_id
        if not all(map(is_key, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("A selected row is no id.")
        if self._is_across(request) and not self._will_ask(request):
            self.message_user(request, ONLY_SHOWN_ROWS, messages.ERROR)
            return None
        return super().response_action(request, queryset)

    def _is_across(self, request: HttpRequest) -> bool:
        """Whether all rows of the list are wanted, those of its other pages too."""
        return any(map(forms.BooleanField().to_python, request.POST.getlist("select_across")))

    def _will_ask(self, request: HttpRequest) -> bool:
        is_answer = "post" in request.POST  # which names each row that the question has shown
        return not is_answer and set(request.POST.getlist("action")) <= {"", *self.asks_first}


class AccountFilter(admin.SimpleListFilter):
    """Accounts by name: as many as people can read, and always the selected one."""

    title = _("account")
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = list(Account.objects.order_by(*in_order("name"), "pk")[:ACCOUNTS_TO_CHOOSE_FROM])
        if self.value():
            known = [account.pk for account in named]
            named += Account.objects.filter(pk=self._account_id()).exclude(pk__in=known)
        return [(str(account.pk), account.name) for account in named]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(account=self._account_id()) if self.value() else queryset

    def _account_id(self) -> int:
        """The id of the account; 0, which no account has, for any other text."""
        return parse_id(self.value() or "") or 0


class ClosedFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("open", _("Open")), ("closed", _("Closed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        if self.value() not in ("open", "closed"):
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


class RemovedFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("present", _("Active")), ("removed", _("Removed"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Membership]
    ) -> QuerySet[Membership]:
        if self.value() not in ("present", "removed"):
            return queryset
        return queryset.filter(removed_at__isnull=self.value() == "present")


class InvitationFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("open", _("Pending")), ("accepted", _("Accepted")), ("withdrawn", _("Withdrawn"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Invitation]
    ) -> QuerySet[Invitation]:
        match self.value():
            case "open":
                return queryset.filter(accepted_at__isnull=True, withdrawn_at__isnull=True)
            case "accepted":
                return queryset.filter(accepted_at__isnull=False)
            case "withdrawn":
                return queryset.filter(withdrawn_at__isnull=False)
        return queryset


class KindFilter(admin.SimpleListFilter):
    """Kinds of events, read from the latest ones: a query of the whole log takes too long."""

    title = _("event")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = AuditEvent.objects.order_by("-pk").values_list("kind", flat=True)
        kinds = set(latest[:EVENTS_TO_LEARN_KINDS_FROM])
        codes = {labels.present_code(kind) for kind in kinds}
        return [(code, code) for code in sorted(codes)]

    def value(self) -> str | None:
        value = super().value()
        return labels.present_code(value) if value else value

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        kind = self.value()
        return queryset.filter(kind__in=labels.stored_codes(kind)) if kind else queryset

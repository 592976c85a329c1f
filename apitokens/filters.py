"""Filters and orders of lists of tokens: one vocabulary for the page and the API."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import django_filters
from django import forms
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.expressions import OrderBy
from django.utils.translation import gettext_lazy as _

from accounts.all_users.listing import SIGN_IN_CHOICES, SSO
from accounts.authorization.actor import Actor
from accounts.email_addresses import SURROUNDING
from accounts.members.forms import RoleSelect
from accounts.models import Membership
from accounts.people.forms import PersonField
from accounts.people.search import named
from accounts.roles import Role
from accounts.text.expressions import in_order
from accounts.text.searches import ids_or_query
from accounts.validators import id_in, is_integer, parse_id
from apitokens.models import APIToken, APITokenQuerySet, Status

RANK_OF_ROLE = Case(*(When(role=role, then=Value(role.rank)) for role in Role))
NEWEST_FIRST, SOONEST_FIRST = "-created", "expiration"
ALL, EXPIRING, NEVER = "all", "expiring", "never"
UNENDED = "unended"
"""Active and suspended: all that count as active for the limit and the numbers of pages."""
MOST_IDS, LONGEST_SEARCH = 200, 255

SORTS: dict[str, Callable[[], list[OrderBy]]] = {
    "id": lambda: [F("pk").asc()],
    "name": lambda: in_order("name"),
    "issued_by": lambda: in_order("issuer__user__name", "issuer__user__email"),
    "role": lambda: [RANK_OF_ROLE.asc()],
    # A token that never expires comes after all that do; one never used before all that were.
    "expiration": lambda: [F("expires_at").asc(nulls_last=True)],
    "created": lambda: [F("created_at").asc()],
    "last_usage": lambda: [F("last_used_at").asc(nulls_first=True)],
}


def issuers_in_order() -> list[OrderBy]:
    """The order of issuers in a list of tokens that is sorted by them."""
    return in_order("user__name", "user__email")


def ordering(sort: str) -> list[OrderBy]:
    """Turn "name" or "-name" into an ordering in which every token has one fixed place."""
    key = sort.removeprefix("-")
    order = [*SORTS[key](), F("pk").asc()]
    if sort.startswith("-"):
        for part in order:
            part.reverse_ordering()
    return order


class TokenFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Narrows the tokens an actor may see, as they are at one moment."""

    def __init__(self, data: Any, *, actor: Actor, at: datetime) -> None:
        self.actor, self.at = actor, at
        super().__init__(data, queryset=APIToken.objects.visible_to(actor))

    class Meta:
        model = APIToken
        fields: list[str] = []


class IdsField(forms.CharField):
    """Token ids with commas between them, as a notice names them."""

    def clean(self, value: Any) -> list[int]:
        parts = [part.strip() for part in super().clean(value).split(",")]
        named = [part for part in parts if part]
        if len(named) > MOST_IDS:
            raise forms.ValidationError(
                _("A link can list at most %(most)d tokens."),
                code="too_many",
                params={"most": MOST_IDS},
            )
        ids = [parse_id(part) for part in named]
        known = [token_id for token_id in ids if token_id is not None]
        if len(known) < len(ids):
            raise forms.ValidationError(
                _(
                    "The link to this page doesn't contain valid token IDs. Open the link from "
                    "the notification again, or press Reset."
                ),
                code="ids",
            )
        return known


class IdsFilter(django_filters.Filter):  # type: ignore[misc]  # django-filter has no types
    field_class = IdsField

    def filter(self, queryset: APITokenQuerySet, value: list[int]) -> APITokenQuerySet:
        return queryset.filter(pk__in=value) if value else queryset


class PersonFilter(django_filters.Filter):  # type: ignore[misc]  # django-filter has no types
    field_class = PersonField


class ListFilter(TokenFilter):
    """Status (Active unless asked otherwise), Last usage, Expiration, how the issuer signs in,
    search and sorting: of the page, and of the file that the API gives."""

    status = django_filters.ChoiceFilter(
        label=_("Status"),
        choices=[
            (ALL, _("All")),
            *Status.choices,
            (UNENDED, _("Active and suspended")),
            (EXPIRING, _("Expiring in 7 days or less")),
        ],
        method="filter_status",
        empty_label=None,
    )
    last_used = django_filters.ChoiceFilter(
        label=_("Last usage"),
        choices=[
            (NEVER, _("Never used")),
            ("30", _("Not used for 30 days")),
            ("90", _("Not used for 90 days")),
            ("180", _("Not used for 180 days")),
        ],
        method="filter_last_used",
        empty_label=_("Any time"),
    )
    expires = django_filters.ChoiceFilter(
        label=_("Expiration"),
        choices=[
            ("7", _("Within 7 days")),
            ("30", _("Within 30 days")),
            (NEVER, _("Never expires")),
        ],
        method="filter_expires",
        empty_label=_("Any time"),
    )
    signs_in_by = django_filters.ChoiceFilter(
        label=_("Issuer's sign-in method"),
        choices=SIGN_IN_CHOICES,
        method="filter_signs_in_by",
        empty_label=_("Any"),
    )
    q = django_filters.CharFilter(
        label=_("Search"),
        method="search",
        max_length=LONGEST_SEARCH,
        widget=forms.TextInput(
            {
                "type": "search",
                "autocomplete": "off",
                "placeholder": _("Name, description, ID or issuer"),
            }
        ),
    )
    sort = django_filters.ChoiceFilter(
        choices=[(sign + key, key) for key in SORTS for sign in ("", "-")],
        method="ignore",
        widget=forms.HiddenInput,
    )

    def __init__(
        self,
        data: Any,
        *,
        actor: Actor,
        at: datetime,
        usual_status: str = Status.ACTIVE,
        usual_sort: str = NEWEST_FIRST,
    ) -> None:
        self.usual_status = usual_status
        chosen = data.copy()
        chosen["status"] = chosen.get("status") or usual_status
        chosen["sort"] = chosen.get("sort") or usual_sort
        super().__init__(chosen, actor=actor, at=at)

    def filter_queryset(self, queryset: APITokenQuerySet) -> QuerySet[APIToken]:
        found: APITokenQuerySet = super().filter_queryset(queryset)
        return found.order_by(*ordering(self.form.cleaned_data["sort"]))

    def filter_status(self, queryset: APITokenQuerySet, _name: str, value: str) -> APITokenQuerySet:
        if value == EXPIRING:
            return queryset.expiring(self.at)
        if value == UNENDED:
            return queryset.active(self.at)
        return queryset.with_status(value, self.at)

    def filter_last_used(
        self, queryset: APITokenQuerySet, _name: str, value: str
    ) -> APITokenQuerySet:
        """Never, or not for so many days; what was created within them is not counted as unused."""
        if value == NEVER:
            return queryset.filter(last_used_at__isnull=True)
        return queryset.unused_since(self.at - timedelta(days=int(value)))

    def filter_expires(
        self, queryset: APITokenQuerySet, _name: str, value: str
    ) -> APITokenQuerySet:
        if value == NEVER:
            return queryset.filter(expires_at__isnull=True)
        until = self.at + timedelta(days=int(value))
        return queryset.filter(expires_at__gt=self.at, expires_at__lte=until)

    def filter_signs_in_by(
        self, queryset: APITokenQuerySet, _name: str, value: str
    ) -> APITokenQuerySet:
        return queryset.filter(issuer__sso_at__isnull=value != SSO)

    def ignore(self, queryset: APITokenQuerySet, _name: str, _value: str) -> APITokenQuerySet:
        return queryset

    def search(self, queryset: APITokenQuerySet, _name: str, value: str) -> APITokenQuerySet:
        """Find the words in name, description and issuer, or the exact id (also as `id$`)."""
        value = value.strip()
        members = Membership.everyone.filter(account=self.actor.account)
        issuers = ids_or_query(named(value, members))
        wanted = Q(name__icontains=value) | Q(description__icontains=value) | Q(issuer__in=issuers)
        token_id = id_in(value.strip(SURROUNDING))
        return queryset.filter(wanted if token_id is None else wanted | Q(pk=token_id))


class PageFilter(ListFilter):
    """The filters of the page: Issued by and Role, too, and the tokens that a notice names."""

    issued_by = PersonFilter(label=_("Issued by"), field_name="issuer")
    role = django_filters.ChoiceFilter(
        label=_("Role"), choices=Role.choices, empty_label=_("All roles"), widget=RoleSelect
    )
    ids = IdsFilter(widget=forms.HiddenInput)

    def __init__(self, data: Any, *, actor: Actor, at: datetime) -> None:
        # A link that names tokens shows them whatever has become of them since, the most urgent
        # first as in the notice.
        names_tokens = bool(data.get("ids"))
        super().__init__(
            data,
            actor=actor,
            at=at,
            usual_status=ALL if names_tokens else Status.ACTIVE,
            usual_sort=SOONEST_FIRST if names_tokens else NEWEST_FIRST,
        )
        self.form.order_fields(["issued_by", "role"])  # as the page has them
        if actor.account is not None:
            issuers = self.form.fields["issued_by"]
            issuers.offer(issuers_visible_to(actor), account_id=actor.account.pk)
        self._offer_what_makes_sense(self.data)

    def _offer_what_makes_sense(self, chosen: Any) -> None:
        """Leave out of the selects what their reader never needs. An address may name it."""
        own = self.actor.role
        weaker = set() if own is None else {str(role.value) for role in own.covered()}
        roles = self.form.fields["role"].widget
        roles.choices = [
            (value, label)
            for value, label in roles.choices
            if str(value) in {"", chosen.get("role"), *weaker}
        ]
        statuses = self.form.fields["status"].widget
        hidden = {EXPIRING, UNENDED} - {chosen["status"]}
        statuses.choices = [each for each in statuses.choices if each[0] not in hidden]


def issuers_visible_to(actor: Actor) -> QuerySet[Membership]:
    """The members who issued a token that the actor may see."""
    tokens = APIToken.objects.visible_to(actor).filter(issuer=OuterRef("pk"))
    account = actor.account
    return Membership.everyone.filter(Exists(tokens), account=account)


class UserIdField(forms.IntegerField):
    """The id of a user, or -1 for a whole number that none can have."""

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        if not is_integer(str(value)):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        found = parse_id(str(value))
        return -1 if found is None else found


class UserIdFilter(django_filters.Filter):  # type: ignore[misc]  # django-filter has no types
    """By the id of the issuing user. (A key's look-up, unlike a relation's, bears any number.)"""

    field_class = UserIdField

    def __init__(self, *, exclude: bool = False) -> None:
        super().__init__(field_name="issuer__user__pk", exclude=exclude)


class RoleFilter(django_filters.Filter):  # type: ignore[misc]  # django-filter has no types
    """By the id or the name of a role, as it was sent, with any character."""

    def filter(self, queryset: APITokenQuerySet, value: str | None) -> APITokenQuerySet:
        if not value:
            return queryset
        role = Role.find(value)
        return queryset.none() if role is None else queryset.filter(role=role)


class APIFilter(TokenFilter):
    """The query of the REST API: `role` (id or name), `issued_by`, `not_issued_by`, `deleted`."""

    role = RoleFilter()
    issued_by = UserIdFilter()
    not_issued_by = UserIdFilter(exclude=True)
    deleted = django_filters.TypedChoiceFilter(
        choices=[(word, word) for word in ("true", "false", "True", "False", "1", "0")],
        coerce=lambda word: word.lower() in ("true", "1"),
        empty_value=False,
        method="ignore",
    )

    def filter_queryset(self, queryset: APITokenQuerySet) -> QuerySet[APIToken]:
        wants_deleted = self.form.cleaned_data["deleted"]
        queryset = queryset.deleted() if wants_deleted else queryset.undeleted()
        found: APITokenQuerySet = super().filter_queryset(queryset)
        return found.order_by("created_at", "pk")

    def ignore(self, queryset: APITokenQuerySet, _name: str, _value: bool) -> APITokenQuerySet:
        return queryset


class FileFilter(ListFilter):
    """The query of the file that the REST API gives: the filters of the page, with roles and
    issuers named as in the API's list."""

    role = RoleFilter()
    issued_by = UserIdFilter()
    not_issued_by = UserIdFilter(exclude=True)
    q = django_filters.CharFilter(method="search", max_length=LONGEST_SEARCH, strip=False)

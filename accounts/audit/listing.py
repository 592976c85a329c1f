"""Profile → Audit log: the filter and the rows, shared by the page and the file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from accounts.audit import labels
from accounts.audit.parts import Events
from accounts.audit.visibility import events_of_token, events_visible_to
from accounts.authorization.actor import OPERATOR_ENTRY_POINTS, Actor
from accounts.email_addresses import SURROUNDING
from accounts.http.user_agents import browser_with_version
from accounts.models import AuditEvent, Invitation, Membership, User
from accounts.models.user import full_name
from accounts.people.forms import PersonField
from accounts.rows_by_id import RowsById
from accounts.validators import id_in
from notifications.bounded_pages import page_of, page_range
from notifications.time_zones import FIRST_DAY, LAST_DAY, start_of_day

PAGE_SIZES = (25, 50, 100)
NOT_FOR_PEOPLE = {"user", "family", "user_agent", "mail", "kind_of_notice", "to"}
"""Details that the row shows in words elsewhere, and ids and codes that only programs use."""


ISSUERS = ("issuer", "former_issuer")
"""Details that hold the id of a user."""


class DayField(forms.DateField):
    """A day that begins and ends in every time zone."""

    default_validators = [MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)]
    input_formats = ["%Y-%m-%d"]
    widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")


class EventField(forms.ChoiceField):
    """A kind of event. Addresses that people kept may name it by a former code."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        return labels.present_code(data) if data else data

    def to_python(self, value: Any) -> str:
        return labels.present_code(super().to_python(value))


class AuditFilter(forms.Form):
    """Filters by person, event, days and API token."""

    person = PersonField(label=_("Person"))
    kind = EventField(label=_("Event"), required=False)
    since = DayField(label=_("From"), required=False)
    until = DayField(label=_("To"), required=False)
    token = forms.CharField(
        label=_("API token"),
        required=False,
        max_length=255,
        widget=forms.TextInput({"inputmode": "numeric", "placeholder": _("ID")}),
    )

    def __init__(self, query: QueryDict, *, actor: Actor) -> None:
        super().__init__(query)
        self.actor = actor
        if actor.membership and actor.is_administrator_of(actor.membership.account_id):
            account_id = actor.membership.account_id
            members = Membership.everyone.filter(account=account_id)
            self.fields["person"].offer(members, account_id=account_id)  # type: ignore[attr-defined]  # a PersonField
        else:
            del self.fields["person"]
        self.fields["kind"].choices = [("", _("All events")), *labels.choices()]  # type: ignore[attr-defined]  # an EventField

    def clean_token(self) -> int | None:
        text = self.cleaned_data["token"].strip(SURROUNDING)
        token_id = id_in(text)
        if text and token_id is None:
            raise forms.ValidationError(
                _("Enter the ID of an API token: the number before the $."), code="token"
            )
        return token_id

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", _("Choose an end date on or after the start date."))
        return cleaned

    def events(self) -> Events:
        """The matching events that the reader may see, newest first; none for an invalid form."""
        if not self.is_valid():
            return Events.none()
        token_id = self.cleaned_data["token"]
        if token_id is None:
            found = events_visible_to(self.actor)
        else:
            found = events_of_token(token_id, visible_to=self.actor)
        for name in self.fields:
            if name != "token" and self._is_set(name):
                found = found.narrowed(*self._alternatives(name))
        return found

    @property
    def number_set(self) -> int:
        return sum(self._is_set(name) for name in self.fields)

    def _is_set(self, name: str) -> bool:
        return bool(self.data.get(name) if self.errors else self.cleaned_data[name])

    def _alternatives(self, name: str) -> list[Q]:
        """The conditions of a filter, of which one is enough."""
        value = self.cleaned_data[name]
        match name:
            case "person":
                return [
                    Q(user=value.user_id),
                    Q(subject_type="user", subject_id=value.user_id),
                    Q(subject_type="membership", subject_id=value.pk),
                ]
            case "since":
                return [Q(at__gte=_midnight(value))]
            case "until":
                return [Q(at__lt=_midnight(value + timedelta(days=1)))]
        return [Q(kind=code) for code in labels.stored_codes(value)]


class Person(Protocol):
    """Who acted."""

    @property
    def email(self) -> str: ...

    def get_full_name(self) -> str: ...


class Event(Protocol):
    """What of an event its description needs: a row of the model, or plain values."""

    @property
    def kind(self) -> str: ...
    @property
    def through(self) -> str: ...
    @property
    def address(self) -> str | None: ...
    @property
    def user(self) -> Person | None: ...
    @property
    def user_id(self) -> int | None: ...
    @property
    def subject_type(self) -> str: ...
    @property
    def subject_id(self) -> int | None: ...
    @property
    def details(self) -> Any: ...


class Row(NamedTuple):
    """An event as members of an account may see it. Empty texts where there is nothing to show."""

    event: AuditEvent
    name: str
    who: str
    email: str
    address: str
    about: str
    entry_point: str
    token_id: int | None
    """The API token that is the subject."""
    facts: list[tuple[str, str]]
    browser: str
    """In short; the event's details have the whole of what it calls itself."""


def listing(query: QueryDict, *, actor: Actor) -> dict[str, Any]:
    """The context of the page, in the same number of queries for any number of events."""
    form = AuditFilter(query, actor=actor)
    size = _page_size(query)
    page = page_of(form.events(), query, size=size)
    is_administrator = "person" in form.fields
    return {
        "form": form,
        "rows": rows(page.object_list),
        "present": _present(page.object_list, actor) if is_administrator else _Present(),
        "page": page,
        "page_range": page_range(page),
        "page_sizes": PAGE_SIZES,
        "page_size": size,
        "number_set": form.number_set,
        "is_administrator": is_administrator,
    }


class _Present(NamedTuple):
    """Who of a page belongs to the account now, by the ids that events have: All users has them."""

    users: frozenset[int] = frozenset()
    members: frozenset[int] = frozenset()


def _present(events: Iterable[AuditEvent], actor: Actor) -> _Present:
    assert actor.membership is not None
    known = list(events)
    subjects = {event.subject_id for event in known}
    found = list(
        Membership.objects.filter(account=actor.membership.account_id, removed_at=None)
        .filter(Q(user__in={event.user_id for event in known} | subjects) | Q(pk__in=subjects))
        .values_list("user_id", "pk")
    )
    return _Present(
        frozenset(user_id for user_id, _pk in found), frozenset(pk for _user_id, pk in found)
    )


def rows(events: Iterable[AuditEvent]) -> list[Row]:
    """The rows of these events, in three queries for all of them."""
    known, names = list(events), Names()
    names.learn(known)
    return [_row(event, names) for event in known]


class Names:
    """The names of what events are about. Each is read once, for a page or a whole file."""

    def __init__(self) -> None:
        self.users: Mapping[int, str] = {}
        self.members: Mapping[int, str] = {}
        self.invitations: Mapping[int, str] = {}
        self._users = RowsById(_names_of_users)
        self._members = RowsById(_names_of_members)
        self._invitations = RowsById(_addresses_of_invitations)

    def learn(self, events: Sequence[Event]) -> None:
        """Read the names for these events, in three queries at most."""

        def ids(subject_type: str) -> set[int | None]:
            return {event.subject_id for event in events if event.subject_type == subject_type}

        issuers = {event.details.get(key) for event in events for key in ISSUERS}
        self.users = self._users.of(ids("user") | issuers)
        self.members = self._members.of(ids("membership"))
        self.invitations = self._invitations.of(ids("invitation"))


def _names_of_users(ids: set[int]) -> dict[int, str]:
    people = User.everyone.filter(pk__among=ids).values_list("pk", "name", "email")
    return {pk: full_name(name, email) for pk, name, email in people}


def _names_of_members(ids: set[int]) -> dict[int, str]:
    members = Membership.everyone.filter(pk__among=ids).values_list(
        "pk", "user__name", "user__email"
    )
    return {pk: full_name(name, email) for pk, name, email in members}


def _addresses_of_invitations(ids: set[int]) -> dict[int, str]:
    return dict(Invitation.objects.filter(pk__among=ids).values_list("pk", "email"))


class Description(NamedTuple):
    """What an event was about, in words: what the page and the file both say."""

    name: str
    who: str
    email: str
    address: str
    about: str


def descriptions(events: Sequence[Event], names: Names) -> Iterator[Description]:
    """The descriptions of these events, in three queries at most for all of them."""
    names.learn(events)
    words = {kind: labels.event_name(kind) for kind in {event.kind for event in events}}
    return (_description(event, names, words[event.kind]) for event in events)


def _description(event: Event, names: Names, name: str) -> Description:
    is_operator = event.through in OPERATOR_ENTRY_POINTS
    user = None if is_operator else event.user
    who = user.get_full_name() if user else ""
    if is_operator and event.through != "system":
        who = _t("An operator of the portal")  # who and where they are is for operators
    return Description(
        name=name,
        who=who,
        email=user.email if user else "",
        address="" if is_operator else (event.address or ""),
        about=_about(event, names),
    )


def _row(event: AuditEvent, names: Names) -> Row:
    return Row(
        event=event,
        **_description(event, names, labels.event_name(event.kind))._asdict(),
        entry_point=labels.entry_point_name(event.through),
        token_id=event.subject_id if event.subject_type == "apitoken" else None,
        facts=[
            (labels.detail_name(key), _fact(event.kind, key, value, names))
            for key, value in event.details.items()
            if value not in (None, "", False) and not _is_redundant(key, value, event)
        ],
        browser=browser_with_version(str(event.details.get("user_agent", ""))),
    )


def _is_redundant(key: str, value: Any, event: AuditEvent) -> bool:
    """True for people and browsers that the row names, and for ids that only programs use."""
    if key == "email":
        return event.subject_type == "invitation"
    return key in NOT_FOR_PEOPLE or (key == "issuer" and value == event.user_id)


def _about(event: Event, names: Names) -> str:
    """The name of the subject, unless that is the person who acted."""
    subject_id = event.subject_id or 0
    match event.subject_type:
        case "user" if subject_id == event.user_id:
            return ""
        case "user":
            return names.users.get(subject_id, "")
        case "membership":
            return names.members.get(subject_id, "")
        case "invitation":
            return names.invitations.get(subject_id, "")
    return ""


def _fact(kind: str, key: str, value: Any, names: Names) -> str:
    """A detail's value as text: people by name, reasons in words, times in the reader's zone."""
    if key in ISSUERS:
        return names.users.get(value, str(value))
    if key == "code":
        return labels.code_name(kind, str(value))
    if value is True:
        return _t("Yes")
    at = parse_datetime(value) if key.endswith("_at") and isinstance(value, str) else None
    if at is None:
        return labels.value_name(key, str(value))
    local = timezone.localtime(at)
    return f"{date_format(local, pgettext('date format', 'j M Y'))} {local:%H:%M}"


def _midnight(day: date) -> datetime:
    """The beginning of the day in the reader's time zone."""
    return start_of_day(day, timezone.get_current_timezone())


def _page_size(query: QueryDict) -> int:
    wanted = query.get("page_size", "")
    return next((size for size in PAGE_SIZES if str(size) == wanted), PAGE_SIZES[0])

"""The fields that choose people: a search field, and a combobox where scripts run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db.models import QuerySet
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.email_addresses import SURROUNDING
from accounts.models import Membership
from accounts.people.search import MOST_FOUND, is_whole, label_of, meant_by
from accounts.tenancy.forms import name_of
from accounts.text.expressions import in_order
from accounts.validators import parse_id

LONGEST = 500
"""Characters: a whole name and a whole address."""


_EVERYONE: Mapping[str, str] = MappingProxyType({})


class PersonField(forms.CharField):
    """A member: by the id of the user, as links have it, or by what a person types, which may be
    digits, too.

    Filters take who is meant by a part of a name. With `shows_first`, which is for what acts on the
    person, that is shown once before it is taken."""

    default_error_messages = {
        "invalid_choice": _("No one in this account matches. Check the name or email."),
        "several": _("Several people match: %(names)s. Enter more of the name or the email."),
        "many": _("More than %(most)d people match. Enter more of the name or the email."),
        "unsure": _("Do you mean %(names)s? If so, send the form again."),
    }

    def __init__(self, *, shows_first: bool = False, **facts: Any) -> None:
        placeholder = {"type": "search", "autocomplete": "off", "placeholder": _("Name or email")}
        self.shows_first = shows_first
        self.members: QuerySet[Membership] = Membership.objects.none()
        self._known: dict[str, Membership] = {}
        super().__init__(
            max_length=LONGEST, widget=forms.TextInput(placeholder), **{"required": False, **facts}
        )

    def __deepcopy__(self, memo: Any) -> Any:
        """Each form has its own: what is known of one account is nothing to another."""
        field = super().__deepcopy__(memo)  # type: ignore[misc]  # the stubs have none
        field._known = {}
        return field

    def offer(
        self,
        members: QuerySet[Membership],
        *,
        account_id: int,
        among: Mapping[str, str] = _EVERYONE,
    ) -> None:
        """Choose among these members of the account. `among` says in the address that suggests
        people which those are."""
        self.members = members
        address = reverse("accounts:find_people", kwargs={"account_id": account_id})
        self.widget.attrs |= {
            "data-people": f"{address}?{urlencode(among)}" if among else address,
            "data-script": static("js/people.js"),
        }

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).strip(SURROUNDING)

    def clean(self, value: Any) -> Membership | None:
        text = super().clean(value)
        person = self._find(text) if text else None
        if person and self.shows_first and not is_whole(text, person):
            raise self._refusal("unsure", [person])
        return person

    def prepare_value(self, value: Any) -> Any:
        """What was sent is shown as the person whom it means."""
        if isinstance(value, Membership):
            return label_of(value)
        try:
            text = super().clean(value) if isinstance(value, str) else ""
            return label_of(self._find(text)) if text else value
        except forms.ValidationError:
            return value

    def label_from_instance(self, member: Membership) -> str:
        return name_of(member)

    def _find(self, text: str) -> Membership:
        if text not in self._known:
            self._known[text] = self._one_of(self._meant(text))
        return self._known[text]

    def _meant(self, text: str) -> list[Membership]:
        user_id = parse_id(text)
        known = self.members.select_related("user")
        by_id = list(known.filter(user=user_id)[:1]) if user_id is not None else []
        return by_id or meant_by(text, self.members)

    def _one_of(self, found: list[Membership]) -> Membership:
        """The only one. Raises `ValidationError` for none and for several."""
        if len(found) == 1:
            return found[0]
        code = "several" if found else "invalid_choice"
        if len(found) > MOST_FOUND:
            code = "many"
        raise self._refusal(code, found)

    def _refusal(self, code: str, found: list[Membership]) -> forms.ValidationError:
        facts = {"names": ", ".join(map(label_of, found)), "most": MOST_FOUND}
        return forms.ValidationError(self.error_messages[code], code, facts)


class PeopleField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Members, by the ids of the users. Its page shows those who are chosen, each with a checkbox,
    and a `PersonField` that adds another one."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(
            queryset=Membership.objects.none(),
            to_field_name="user_id",
            **{"required": False, "widget": forms.CheckboxSelectMultiple, **facts},
        )

    def clean(self, value: Any) -> Any:
        """Refuse text that is no id before the database does."""
        wrong = next((each for each in value or [] if parse_id(str(each)) is None), None)
        if wrong is not None:
            raise forms.ValidationError(
                self.error_messages["invalid_choice"], "invalid_choice", {"value": wrong}
            )
        return super().clean(value)

    def chosen(self, value: Any) -> list[Membership]:
        """Those whom the value of the field means, by name."""
        ids = {parse_id(str(each)) for each in value or []} - {None}
        members: QuerySet[Membership] = self.queryset  # type: ignore[assignment]  # never None
        found = members.filter(user__in=ids).select_related("user")
        return list(found.order_by(*in_order("user__name", "user__email"), "pk"))

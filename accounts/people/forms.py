"""The field that chooses a person: a search field, and a combobox where scripts run."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.email_addresses import SURROUNDING
from accounts.models import Membership
from accounts.people.search import MOST_FOUND, label_of, meant_by
from accounts.tenancy.forms import name_of
from accounts.validators import parse_id

LONGEST = 500
"""Characters: a whole name and a whole address."""


class PersonField(forms.CharField):
    """A member: by the id of the user, as links have it, or by what a person types, which may be
    digits, too."""

    default_error_messages = {
        "invalid_choice": _("No one in this account matches. Check the name or email."),
        "several": _("Several people match: %(names)s. Enter more of the name or the email."),
        "many": _("More than %(most)d people match. Enter more of the name or the email."),
    }

    def __init__(self, **facts: Any) -> None:
        placeholder = {"type": "search", "autocomplete": "off", "placeholder": _("Name or email")}
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

    def offer(self, members: QuerySet[Membership], *, account_id: int) -> None:
        """Choose among these members of the account."""
        self.members = members
        self.widget.attrs |= {
            "data-people": reverse("accounts:find_people", kwargs={"account_id": account_id}),
            "data-script": static("js/people.js"),
        }

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).strip(SURROUNDING)

    def clean(self, value: Any) -> Membership | None:
        text = super().clean(value)
        return self._find(text) if text else None

    def prepare_value(self, value: Any) -> Any:
        """What was sent is shown as the person whom it means."""
        try:
            person = self.clean(value) if isinstance(value, str) else None
        except forms.ValidationError:
            return value
        return label_of(person) if person else value

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
        facts = {"names": ", ".join(map(label_of, found)), "most": MOST_FOUND}
        raise forms.ValidationError(self.error_messages[code], code, facts)

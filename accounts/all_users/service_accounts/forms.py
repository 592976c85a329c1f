"""The form of a service account."""

from typing import Any, NamedTuple

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.http.concurrent_edits import CHANGED
from accounts.members.forms import RoleForm
from accounts.models import Membership, ServiceAccount
from accounts.people.candidates import MEMBERS
from accounts.people.forms import PeopleField, PersonField
from accounts.people.search import label_of
from accounts.service_accounts.services import Changes, looking_after


class Chosen(NamedTuple):
    """A member among the issuers, as a page shows them: each has a checkbox."""

    value: int
    label: str
    role: str


class ServiceAccountForm(RoleForm):
    """What a service account is called, may do, and who looks after it. The service validates."""

    name = forms.CharField(
        label=_("Name"),
        max_length=150,
        error_messages={"required": _("Enter a name.")},
        widget=forms.TextInput({"autocomplete": "off", "autofocus": True}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=2000,
        required=False,
        widget=forms.Textarea({"rows": 3}),
    )
    contact = PersonField(
        label=_("Contact"),
        shows_first=True,
        help_text=_("Gets the notifications about its API tokens, as Administrators do."),
    )
    contact_email = forms.CharField(
        label=_("Contact address"),
        max_length=254,
        required=False,
        help_text=_(
            "Or an address that gets them by email, such as that of a team. It is asked to confirm "
            "first."
        ),
        widget=forms.TextInput({"type": "email", "autocomplete": "off", "autocapitalize": "off"}),
    )
    issuers = PeopleField(
        label=_("Members who may issue API tokens for it"),
        help_text=_(
            "They create and manage its tokens, with roles up to its own, even if theirs is "
            "lower. Administrators always can."
        ),
    )
    another_issuer = PersonField(label=_("Add a member"), shows_first=True)

    field_order = [
        *("name", "description", "role", "contact", "contact_email"),
        *("issuers", "another_issuer"),
    ]

    def __init__(
        self,
        *args: Any,
        account_id: int,
        service_account: ServiceAccount | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        named = looking_after(service_account) if service_account else []
        people = Membership.objects.present() | Membership.objects.filter(pk__in=named)
        members = people.filter(account=account_id)
        self.fields["issuers"].queryset = members  # type: ignore[attr-defined]  # of members
        for field in ("contact", "another_issuer"):
            self.fields[field].offer(members, account_id=account_id, among=MEMBERS)  # type: ignore[attr-defined]  # a PersonField

    @property
    def is_adding(self) -> bool:
        """True if the button was pressed that adds an issuer: the form is filled on then."""
        return self.is_bound and "add" in self.data

    def is_complete(self) -> bool:
        """True if it is to be saved, and can be."""
        return self.is_valid() and not self.is_adding

    def full_clean(self) -> None:
        another: PersonField = self.fields["another_issuer"]  # type: ignore[assignment]  # as above
        another.shows_first = not self.is_adding  # which shows whom it has added
        super().full_clean()
        if not self.is_adding:
            return
        self.fields["name"].widget.attrs["autofocus"] = False
        another.widget.attrs["autofocus"] = True
        # What is not filled in yet is no mistake. What was changed elsewhere meanwhile is told now.
        for name in [*self.errors]:
            told = self.errors[name].as_data()
            if name != "another_issuer" and all(each.code != CHANGED for each in told):
                del self.errors[name]
        if (member := self.cleaned_data.get("another_issuer")) is not None:
            ids = [*self["issuers"].value(), member.user_id]
            self._send("issuers", [*dict.fromkeys(map(str, ids))])
            self._send("another_issuer", None)
        elif "another_issuer" not in self.errors:
            self.add_error("another_issuer", _("Enter a name or an email address."))

    @property
    def chosen_issuers(self) -> list[Chosen]:
        members = self.fields["issuers"].chosen(self["issuers"].value())  # type: ignore[attr-defined]  # a PeopleField
        return [Chosen(each.user_id, label_of(each), each.held_role.label) for each in members]

    @property
    def changes(self) -> Changes:
        """What was filled in, for the service."""
        facts = dict(self.cleaned_data)
        another = facts.pop("another_issuer")
        changes: Changes = {**facts}  # type: ignore[typeddict-item]  # by its fields
        changes["issuers"] = {*facts["issuers"], *([another] if another else [])}
        changes["description"] = changes["description"].replace("\r\n", "\n")
        return changes


def as_it_is(service_account: ServiceAccount) -> dict[str, Any]:
    """The first values of the form."""
    contact = service_account.contact
    return {
        "name": service_account.name,
        "description": service_account.description,
        "role": service_account.membership.role,
        "contact": contact,
        "contact_email": service_account.contact_email,
        "issuers": [each.user_id for each in service_account.issuers.all()],
    }

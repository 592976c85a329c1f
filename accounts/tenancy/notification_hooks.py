"""Registers the recipient of notices: the member, in the account of the page, and what can reach
them there."""

from django.db.models import Case, F, When
from django.http import HttpRequest

from accounts.authorization import sso_hooks
from accounts.models import ServiceAccount, User
from accounts.tenancy.decorators import member_required, shown_member
from notifications import recipients
from notifications.kinds import Audience
from notifications.recipients import Person


@recipients.person_of.register
def person_of(request: HttpRequest) -> Person | None:
    member = shown_member(request)
    return Person(member.user_id, member.account_id) if member else None


@recipients.mail_address_of.register
def mail_address_of(person: Person) -> str:
    contact = F("memberships__service_account__contact_email")
    address = Case(When(is_service_account=True, then=contact), default=F("email"))
    users = User.everyone.filter(pk=person.user_id).annotate(address=address)
    return users.values_list("address", flat=True).first() or ""


@recipients.readers_at.register
def readers_at(account_id: int, email: str) -> list[Person]:
    found = ServiceAccount.objects.of(account_id).filter(contact_email=email)
    return [Person(each.membership.user_id, account_id) for each in found]


@recipients.audiences_of.register
def audiences_of(request: HttpRequest) -> frozenset[Audience]:
    member = shown_member(request)
    if member is None:
        return frozenset()
    has_sso = sso_hooks.has_connection(member.account_id)
    belongs = {
        Audience.EVERYBODY: True,
        Audience.ADMINISTRATORS: member.is_administrator,
        Audience.SINGLE_SIGN_ON: has_sso,
        Audience.SINGLE_SIGN_ON_ADMINISTRATORS: has_sso and member.is_administrator,
    }
    return frozenset(audience for audience, is_in in belongs.items() if is_in)


recipients.guard.register(member_required)

"""Registers the recipient of notices: the member, in the account of the page."""

from django.http import HttpRequest

from accounts.tenancy.decorators import member_required, shown_member
from notifications import recipients
from notifications.recipients import Person


@recipients.person_of.register
def person_of(request: HttpRequest) -> Person | None:
    member = shown_member(request)
    return Person(member.user_id, member.account_id) if member else None


recipients.guard.register(member_required)

"""Tells the pages of notices who reads them: the member, in the account they have chosen."""

from django.http import HttpRequest

from accounts.tenancy.decorators import current_member, member_required
from notifications.recipients import Person, RecipientBackend, register


def reader(request: HttpRequest) -> Person | None:
    member = current_member(request)
    return Person(member.user_id, member.account_id) if member else None


register(RecipientBackend(person_of=reader, guard=member_required))

"""The readers of notices about an issuer's tokens: at least one person for every token.

Of a person's tokens the person is told. A service account reads nothing: its contact, the members
whom it names, and the Administrators are told instead. An address that is its contact is told in
the service account's place.
"""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Q

from accounts.models import Membership, ServiceAccount
from accounts.roles import Role


def readers_of(issuer: Membership) -> list[Membership]:
    """The present memberships that are told of the issuer's tokens. The service account itself is
    among them if its contact is an address that has agreed, which `address_of` names."""
    return readers_by_issuer([issuer])[issuer.pk]


def readers_by_issuer(issuers: Iterable[Membership]) -> dict[int, list[Membership]]:
    """The same for many issuers, by their keys, in a number of queries that does not grow."""
    known = list(issuers)
    services = [each.pk for each in known if each.is_service_account]
    readers: dict[int, list[Membership]] = defaultdict(list)
    people = [each.pk for each in known if not each.is_service_account]
    for member in _present(Q(pk__in=people)):
        readers[member.pk].append(member)
    if services:
        _add_readers_of_services(services, readers)
    return readers


def service_accounts_read_by(member: Membership) -> Q:
    """A condition on issuers: the service accounts of whose tokens this member is told."""
    return Q(service_account__contact=member) | Q(service_account__issuers=member)


def address_of(reader: Membership) -> str:
    """The address that notices to this reader go to, where that is no person's. It has agreed."""
    return reader.service_account.notices_go_to if reader.is_service_account else ""


def _add_readers_of_services(services: list[int], readers: dict[int, list[Membership]]) -> None:
    found = ServiceAccount.objects.filter(pk__in=services).select_related("membership")
    known = {each.pk: each for each in found.prefetch_related("issuers")}
    accounts = Membership.everyone.filter(pk__in=services).values("account")
    named = {member.pk for each in known.values() for member in each.issuers.all()}
    contacts = {each.contact_id for each in known.values()}
    is_reader = Q(pk__in=named | contacts) | Q(
        role=Role.ADMINISTRATORS, account__in=accounts, user__is_service_account=False
    )
    by_address = {each.pk for each in known.values() if each.notices_go_to}
    for member in _present(is_reader | Q(pk__in=by_address)):
        for each in known.values():
            if _reads(member, each):
                readers[each.pk].append(member)


def _reads(member: Membership, service_account: ServiceAccount) -> bool:
    if member.pk == service_account.pk:
        return bool(service_account.notices_go_to)
    if member.is_service_account:
        return False
    is_named = member in service_account.issuers.all()
    is_administrator = member.is_administrator and (
        member.account_id == service_account.membership.account_id
    )
    return is_administrator or is_named or member.pk == service_account.contact_id


def _present(condition: Q) -> list[Membership]:
    found = Membership.everyone.present().filter(condition)
    return list(found.select_related("user", "account", "service_account").order_by("pk"))

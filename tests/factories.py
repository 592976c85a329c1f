"""Factories of users, accounts and tokens. Tokens are issued by the service."""

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from allauth.account.models import EmailAddress

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, Membership, ServiceAccount, User
from accounts.roles import Role
from accounts.service_accounts import services as service_account_services
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.tokens.services import Issued
from notifications.models import Mail
from sso.models import Certificate, Connection, Domain, Subject

PASSWORD = "swim marble tuesday copper"
ACCOUNT_ID = 7_000_001
"""The id of the account that most tests share: it stands in the addresses of its pages."""


class EmailAddressFactory(factory.django.DjangoModelFactory[EmailAddress]):
    """The row that django-allauth signs people in by."""

    class Meta:
        model = EmailAddress

    email = factory.SelfAttribute("user.email")
    primary = True
    verified = True


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda number: f"person{number}@example.com")
    name = factory.Sequence(lambda number: f"Person {number}")
    password = factory.django.Password(PASSWORD)
    address = factory.RelatedFactory(EmailAddressFactory, factory_related_name="user")


class AccountFactory(factory.django.DjangoModelFactory[Account]):
    class Meta:
        model = Account

    name = factory.Sequence(lambda number: f"Company {number}")


class MembershipFactory(factory.django.DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    account = factory.SubFactory(AccountFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.ADMINISTRATORS


class ConnectionFactory(factory.django.DjangoModelFactory[Connection]):
    """A connection that is tested and switched on. It has no certificate yet, and no domain."""

    class Meta:
        model = Connection

    account = factory.SubFactory(AccountFactory)
    name = "Company directory"
    entity_id = factory.Sequence(lambda number: f"https://idp{number}.example.com/metadata")
    sso_url = factory.Sequence(lambda number: f"https://idp{number}.example.com/sso")
    tested_at = factory.LazyFunction(lambda: datetime.now(UTC))
    is_on = True


class CertificateFactory(factory.django.DjangoModelFactory[Certificate]):
    """A row that says of itself that it is good for a year; its text is no certificate, unless a
    `pem` is given."""

    class Meta:
        model = Certificate

    connection = factory.SubFactory(ConnectionFactory)
    pem = "-----BEGIN CERTIFICATE-----"
    fingerprint = factory.Sequence(lambda number: f"{number:064x}")
    not_before = factory.LazyFunction(lambda: datetime.now(UTC) - timedelta(days=1))
    not_after = factory.LazyFunction(lambda: datetime.now(UTC) + timedelta(days=365))
    added_at = factory.SelfAttribute("not_before")


class DomainFactory(factory.django.DjangoModelFactory[Domain]):
    """A domain that an operator has approved."""

    class Meta:
        model = Domain

    connection = factory.SubFactory(ConnectionFactory)
    name = factory.Sequence(lambda number: f"company{number}.example")
    asked_at = factory.LazyFunction(lambda: datetime.now(UTC))
    asked_by = factory.SubFactory(
        MembershipFactory, account=factory.SelfAttribute("..connection.account")
    )
    approved_at = factory.SelfAttribute("asked_at")


class SubjectFactory(factory.django.DjangoModelFactory[Subject]):
    """A member whom the provider of their account knows."""

    class Meta:
        model = Subject

    connection = factory.SubFactory(ConnectionFactory)
    membership = factory.SubFactory(
        MembershipFactory, account=factory.SelfAttribute("..connection.account")
    )
    name_id = factory.Sequence(lambda number: f"subject-{number}")
    linked_at = factory.LazyFunction(lambda: datetime.now(UTC))


def service_account(
    account: Account, *, at: datetime, agrees: bool = True, **facts: Any
) -> ServiceAccount:
    """Let an operator make a service account. Any argument of the service can be given. A contact
    address agrees at once."""
    made = service_account_services.create(
        **{
            "account": account,
            "name": "Deploys",
            "role": Role.ENGINEERS,
            "by": Actor.operator(through=EntryPoint.COMMAND),
            "at": at,
            **facts,
        }
    )
    if agrees:
        contact_agrees(made)
    return made


def contact_agrees(service_account: ServiceAccount) -> None:
    """As if the contact address had answered yes, without a mail being sent."""
    service_account.confirmed_email = service_account.contact_email
    service_account.save(update_fields=["confirmed_email"])
    Mail.objects.filter(kind="confirm_contact").delete()


def issue(member: Membership, *, at: datetime, **facts: Any) -> Issued:
    """Let the member issue a token. Any argument of the service can be given."""
    return token_services.issue(
        **{
            "by": Actor.member(member),
            "issuer": member,
            "name": "Nightly backup",
            "role": Role.USERS,
            "expires_at": None,
            "at": at,
            **facts,
        }
    )


def acting(
    member: Membership, role: Role, *, at: datetime, ends_at: datetime | None = None
) -> Actor:
    """The actor that authentication makes of a token of this member, role and end.

    The role may be stronger than the member's: they had a stronger one when they issued it.
    """
    token = issue(member, at=at - timedelta(hours=1), name="Acting", role=Role.USERS).token
    APIToken.objects.filter(pk=token.pk).update(role=role, expires_at=ends_at)
    return Actor.token(member, token_id=token.pk, role=role, ends_at=ends_at)

"""Makes people, accounts and tokens for tests. Tokens come from the verb, like everybody's."""

from datetime import datetime, timedelta
from typing import Any

import factory
from allauth.account.models import EmailAddress

from accounts.actors import Actor
from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens import services
from apitokens.models import APIToken
from apitokens.services import Issued

PASSWORD = "correct horse battery staple"


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


def issue(member: Membership, *, at: datetime, **facts: Any) -> Issued:
    """Let the member issue a token. Any argument of the verb can be given; the rest is dull."""
    return services.issue(
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

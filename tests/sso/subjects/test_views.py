"""Unlinking one person: by an Administrator of the account, and by an operator."""

from datetime import datetime

import pytest
from allauth.usersessions.models import UserSession
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from sso.models import Connection, Subject
from sso.subjects import services as subjects
from tests.conftest import SignIn
from tests.factories import PASSWORD, MembershipFactory, SubjectFactory, UserFactory
from tests.idp.keys import SigningKey
from tests.operators.conftest import selected
from tests.questions import hidden_fields
from tests.sso import login_steps

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.ADMIN)


@pytest.fixture
def maria(trusted: Connection, signing: SigningKey) -> Membership:
    """A member who has signed in through the provider, in a browser that is gone."""
    member = MembershipFactory.create(
        account=trusted.account, user__email="maria@example.com", role=Role.USERS
    )
    login_steps.sign_in(Client(), trusted, signing, name_id="maria-7f3a")
    return member


@pytest.fixture
def administrators(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    """The browser of an Administrator who has just re-authenticated."""
    sign_in(client, administrator)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


def page(member: Membership) -> str:
    return reverse("sso:unlink", args=[member.account_id, member.user_id])


def test_administrator_finds_it_in_the_menu_of_a_linked_person_only(
    administrators: Client, maria: Membership, administrator: Membership
) -> None:
    shown = administrators.get(reverse("accounts:people", args=[maria.account_id]))

    assert page(maria) in shown.text
    assert page(administrator) not in shown.text


def test_page_asks_first(administrators: Client, maria: Membership) -> None:
    shown = administrators.get(page(maria))

    assert "maria-7f3a" in shown.text
    assert Subject.objects.filter(membership=maria).exists()


def test_person_is_unlinked_on_the_record(administrators: Client, maria: Membership) -> None:
    answer = administrators.post(page(maria))

    assert answer["Location"] == reverse("accounts:people", args=[maria.account_id])
    assert not Subject.objects.exists()
    event = AuditEvent.objects.get(kind="sso.unlinked")
    assert event.subject_id == maria.pk
    assert event.details == {"user": maria.user_id, "name_id": "maria-7f3a"}


def test_sessions_through_the_provider_end_and_no_others(
    administrators: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    through_provider, by_password = Client(), Client()
    login_steps.sign_in(through_provider, trusted, signing, name_id="maria-7f3a")
    by_password.post(reverse("account_login"), {"login": maria.user.email, "password": PASSWORD})
    assert UserSession.objects.filter(user=maria.user).count() == 3

    administrators.post(page(maria))

    assert through_provider.get("/profile/").status_code == 302
    assert by_password.get("/profile/").status_code == 200


def test_next_sign_in_links_by_the_rules_of_a_first_one(
    administrators: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    administrators.post(page(maria))

    stranger = login_steps.sign_in(
        Client(), trusted, signing, name_id="new-name", email="maria@elsewhere.example"
    )
    assert stranger.status_code == 403
    login_steps.sign_in(Client(), trusted, signing, name_id="new-name")

    assert Subject.objects.get().name_id == "new-name"
    assert Subject.objects.get().membership == maria


def test_who_is_not_linked_or_of_another_account_is_not_found(
    administrators: Client, maria: Membership, administrator: Membership, stranger: Membership
) -> None:
    elsewhere = reverse("sso:unlink", args=[maria.account_id, stranger.user_id])

    assert administrators.post(page(administrator)).status_code == 404
    assert administrators.post(elsewhere).status_code == 404


def test_service_is_for_administrators_and_operators(
    maria: Membership, user: Membership, stranger: Membership, now: datetime
) -> None:
    for by in (Actor.member(user), Actor.member(maria), Actor.member(stranger)):
        with pytest.raises(PermissionDenied):
            subjects.unlink_member(membership=maria, by=by, at=now)
    assert Subject.objects.filter(membership=maria).exists()
    assert subjects.unlink_member(membership=maria, by=OPERATOR, at=now)
    assert not subjects.unlink_member(membership=maria, by=OPERATOR, at=now)


def test_operator_unlinks_members(
    client: Client, maria: Membership, administrator: Membership
) -> None:
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    shown = client.get(reverse("admin:accounts_membership_change", args=[maria.pk]))
    assert "maria-7f3a" in shown.text

    members = "accounts_membership_changelist"
    fields = selected(client, members, maria, administrator)
    answer = client.post(reverse(f"admin:{members}"), {**fields, "action": "unlink"}, follow=True)

    assert {str(each) for each in answer.context["messages"]} == {
        f"No change was needed. ({administrator})",
        f"Done. ({maria})",
    }
    assert not Subject.objects.exists()
    assert AuditEvent.objects.get(kind="sso.unlinked").through == "admin"


def test_only_the_identity_that_was_shown_is_unlinked(
    administrators: Client, maria: Membership
) -> None:
    question = hidden_fields(administrators, page(maria))
    connection = Subject.objects.get(membership=maria).connection
    Subject.objects.filter(membership=maria).delete()
    SubjectFactory.create(connection=connection, membership=maria, name_id="maria-9c1d")

    refused = administrators.post(page(maria), question, follow=True)

    assert "so nothing has been done" in refused.text
    assert "maria-9c1d" in refused.text
    assert Subject.objects.filter(name_id="maria-9c1d").exists()
    administrators.post(page(maria), hidden_fields(administrators, page(maria)))
    assert not Subject.objects.filter(membership=maria).exists()

"""Login by SSO in a browser: session, account, audit and pending assertion."""

from datetime import UTC, datetime, timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from accounts.tenancy.decorators import SESSION_KEY
from sso.models import Connection
from sso.saml import endpoints, python3_saml
from sso.saml.errors import REASONS
from tests.conftest import SignIn
from tests.factories import ConnectionFactory, MembershipFactory
from tests.idp.keys import SigningKey, make_key
from tests.sso import login_steps
from tests.sso.saml_responses import response_xml, sign_and_encode

pytestmark = pytest.mark.django_db


@pytest.fixture
def maria(trusted: Connection) -> Membership:
    return MembershipFactory.create(
        account=trusted.account, user__email="maria@example.com", role=Role.ENGINEERS
    )


def is_in(client: Client, member: Membership) -> bool:
    return client.session.get("_auth_user_id") == str(member.user_id)


def test_login_leads_to_the_account(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    MembershipFactory.create(user=maria.user)  # an older account would be the first otherwise

    page = login_steps.sign_in(client, trusted, signing)

    assert page["Location"] == reverse("home")
    assert client.get("/")["Location"] == reverse("apitokens:list", args=[maria.account_id])
    assert is_in(client, maria)
    assert client.session[SESSION_KEY] == maria.account_id


def test_login_is_audited(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, trusted, signing)

    event = AuditEvent.objects.get(kind="sign_in.succeeded")
    assert event.subject_id == maria.user_id
    assert event.details["auth_type"] == "sso"


def test_session_by_sso_is_short(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, trusted, signing)

    assert client.session.get_expiry_age() <= timedelta(hours=12).total_seconds()


def test_signing_in_gives_the_session_another_key(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    address = login_steps.start_login(client, trusted)
    before = client.session.session_key

    login_steps.complete_login(client, trusted, signing, address)

    assert client.session.session_key != before


def test_person_with_two_factors_is_asked_for_the_second(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    TOTP.activate(maria.user, generate_totp_secret())
    assert Authenticator.objects.filter(user=maria.user).exists()

    page = login_steps.sign_in(client, trusted, signing)

    assert page["Location"] == reverse("mfa_authenticate")
    assert not is_in(client, maria)


def test_signing_in_leads_back_to_the_page_that_was_asked_for(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    address = login_steps.start_login(client, trusted, wanted="/profile/security/")

    assert (
        login_steps.complete_login(client, trusted, signing, address)["Location"]
        == "/profile/security/"
    )


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_signing_in_leads_to_no_other_site(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership, wanted: str
) -> None:
    address = login_steps.start_login(client, trusted, wanted=wanted)

    page = login_steps.complete_login(client, trusted, signing, address)

    assert page["Location"] == reverse("home")


def test_who_is_signed_in_already_is_not_sent_to_the_provider(
    client: Client, trusted: Connection, administrator: Membership, sign_in: SignIn
) -> None:
    sign_in(client, administrator)

    answer = client.get(endpoints.begin_url(trusted), {"next": "/profile/"})

    assert answer["Location"] == "/profile/"


def test_login_of_another_user_replaces_the_session(
    client: Client,
    trusted: Connection,
    signing: SigningKey,
    maria: Membership,
    administrator: Membership,
    sign_in: SignIn,
) -> None:
    """The second login started in another tab, before the first was complete."""
    address = login_steps.start_login(client, trusted)
    client.force_login(administrator.user)

    login_steps.complete_login(client, trusted, signing, address)

    assert is_in(client, maria)


@pytest.mark.parametrize("facts", [{"is_on": False}, {"is_on": False, "entity_id": ""}])
def test_direct_address_of_what_is_switched_off_is_not_there(
    client: Client, trusted: Connection, facts: dict[str, object]
) -> None:
    tested_at = None if "entity_id" in facts else trusted.tested_at
    Connection.objects.filter(pk=trusted.pk).update(**facts, tested_at=tested_at)

    assert client.get(endpoints.begin_url(trusted)).status_code == 404


def test_pending_assertion_is_popped_once(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, trusted, signing)
    client.logout()

    page = client.get(reverse("sso:finish", args=[trusted.slug]))

    assert page.status_code == 400
    assert not is_in(client, maria)


def test_who_reloads_the_way_back_goes_on(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, trusted, signing)

    assert client.get(reverse("sso:finish", args=[trusted.slug]))["Location"] == "/"


def test_cookie_of_the_pending_assertion_has_a_narrow_path(
    client: Client, trusted: Connection, signing: SigningKey
) -> None:
    xml = response_xml(trusted, at=datetime.now(UTC))

    answer = client.post(
        endpoints.acs_url(trusted), {"SAMLResponse": sign_and_encode(xml, signing)}
    )

    (cookie,) = answer.cookies.values()
    assert cookie["path"] == reverse("sso:finish", args=[trusted.slug])
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_nothing_is_kept_of_what_the_provider_did_not_sign(
    client: Client, trusted: Connection
) -> None:
    xml = response_xml(trusted, at=datetime.now(UTC))

    answer = client.post(
        endpoints.acs_url(trusted), {"SAMLResponse": sign_and_encode(xml, make_key("mallory"))}
    )

    assert answer.status_code == 400
    assert not answer.cookies


def test_refusal_says_the_same_whatever_the_reason(
    client: Client, trusted: Connection, signing: SigningKey
) -> None:
    MembershipFactory.create(user__email="maria@example.com")

    known = login_steps.sign_in(client, trusted, signing).content.decode()
    stranger = login_steps.sign_in(
        client, trusted, signing, email="a@elsewhere.example"
    ).content.decode()

    assert known == stranger
    assert not any(str(words) in known for words in REASONS.values())


def test_refusals_of_one_network_stop_filling_the_log(client: Client, trusted: Connection) -> None:
    answers = [client.post(endpoints.acs_url(trusted)) for _each in range(31)]

    assert [answer.status_code for answer in answers] == [400] * 30 + [429]
    assert AuditEvent.objects.filter(kind="sso.refused").count() == 30
    # Those of another account's provider are counted by themselves.
    other = ConnectionFactory.create()
    assert client.post(endpoints.acs_url(other)).status_code == 400
    assert AuditEvent.objects.filter(account=other.account_id, kind="sso.refused").exists()


def test_metadata_can_be_had_before_the_provider_is_known(client: Client) -> None:
    connection = ConnectionFactory.create(entity_id="", sso_url="", tested_at=None, is_on=False)

    answer = client.get(endpoints.entity_id(connection))

    assert answer.status_code == 200
    assert endpoints.acs_url(connection) in answer.content.decode()


def test_addresses_follow_from_base_url_and_not_from_the_request(
    client: Client, trusted: Connection
) -> None:
    answer = client.get(endpoints.entity_id(trusted), headers={"host": "127.0.0.1:9"})

    assert b"127.0.0.1:9" not in answer.content


def test_provider_is_asked_by_the_portals_own_name(client: Client, trusted: Connection) -> None:
    request = login_steps.decode_request(login_steps.start_login(client, trusted))

    assert request.get("AssertionConsumerServiceURL") == endpoints.acs_url(trusted)
    assert request.get("Destination") == trusted.sso_url
    assert request.get("ForceAuthn") is None


def test_only_certificates_that_are_good_now_are_believed(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    trusted.certificates.update(not_after=datetime.now(UTC) - timedelta(minutes=1))
    assert python3_saml.build_settings(trusted, datetime.now(UTC)).get_idp_data()[
        "x509certMulti"
    ] == {"signing": []}

    login_steps.sign_in(client, trusted, signing)

    assert not is_in(client, maria)
    assert AuditEvent.objects.get(kind="sso.refused").details["code"] == "no_certificate"

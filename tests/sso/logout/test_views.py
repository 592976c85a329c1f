"""Single Logout, started by the portal and by the provider."""

import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest
import xmlsec
from django.test import Client
from django.urls import reverse
from xmlsec import constants

from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from sso.models import Connection
from sso.saml import endpoints
from tests.accounts.sign_in.test_mfa import code_at, give_app
from tests.conftest import SignIn
from tests.factories import PASSWORD, MembershipFactory
from tests.idp.keys import SigningKey, make_key
from tests.idp.mutations import format_instant
from tests.sso import login_steps

pytestmark = pytest.mark.django_db

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SP = "urn:oasis:names:tc:SAML:2.0"


@pytest.fixture
def with_single_logout(trusted: Connection) -> Connection:
    """The provider offers single logout."""
    Connection.objects.update(slo_url="https://idp.example.com/slo")
    trusted.refresh_from_db()
    return trusted


@pytest.fixture
def maria(trusted: Connection) -> Membership:
    return MembershipFactory.create(
        account=trusted.account, user__email="maria@example.com", role=Role.USERS
    )


def logout_request_path(
    connection: Connection,
    signing: SigningKey,
    *,
    name_id: str = "maria-7f3a",
    session: str = "_session",
    issued_at: datetime | None = None,
    message_id: str = "_out",
) -> str:
    """The path with a signed LogoutRequest, to which the provider redirects a browser."""
    sent_at = format_instant(issued_at or datetime.now(UTC))
    index = f"<samlp:SessionIndex>{session}</samlp:SessionIndex>" if session else ""
    xml = (
        f'<samlp:LogoutRequest xmlns:samlp="{SP}:protocol" xmlns:saml="{SP}:assertion" '
        f'ID="{message_id}" Version="2.0" IssueInstant="{sent_at}" '
        f'Destination="{endpoints.sls_url(connection)}">'
        f"<saml:Issuer>{connection.entity_id}</saml:Issuer>"
        f"<saml:NameID>{name_id}</saml:NameID>{index}</samlp:LogoutRequest>"
    )
    packed = b64encode(zlib.compress(xml.encode())[2:-4]).decode()
    query = urlencode({"SAMLRequest": packed, "SigAlg": RSA_SHA256}, quote_via=quote)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(signing.key, constants.KeyDataFormatPem)
    signature = context.sign_binary(query.encode(), constants.TransformRsaSha256)
    query += f"&{urlencode({'Signature': b64encode(signature).decode()})}"
    return f"{reverse('sso:sls', args=[connection.slug])}?{query}"


def is_in(client: Client) -> bool:
    return bool(client.get("/profile/").status_code == 200)


# --- By the portal --------------------------------------------------------------------------------


def test_signing_out_here_leads_to_the_provider(
    client: Client, with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, with_single_logout, signing)

    answer = client.post(reverse("account_logout"))

    assert not is_in(client)
    redirect_url = client.get(answer["Location"]).context["redirect_url"]
    assert redirect_url.startswith("https://idp.example.com/slo?")
    request = login_steps.decode_request(redirect_url)
    assert [each.text for each in request.iter("{*}NameID")] == ["maria-7f3a"]
    assert [each.text for each in request.iter("{*}SessionIndex")] == ["_session"]


def test_signing_out_ends_here_where_the_provider_does_not_offer_it(
    client: Client, trusted: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, trusted, signing)

    assert client.post(reverse("account_logout"))["Location"] == "/sign-in/"
    assert not is_in(client)


def test_session_by_password_is_not_sent_to_the_provider(
    client: Client, with_single_logout: Connection, maria: Membership, sign_in: SignIn
) -> None:
    sign_in(client, maria)

    assert client.post(reverse("account_logout"))["Location"] == "/sign-in/"


@pytest.mark.parametrize("who", ["", "forged", "WzFd:1abc:def"])
def test_signed_link_of_the_sign_out_page_cannot_be_forged(
    client: Client, with_single_logout: Connection, who: str
) -> None:
    answer = client.get(reverse("sso:sign_out", args=[with_single_logout.slug]), {"who": who})

    assert answer["Location"] == "/sign-in/"


def test_provider_that_has_signed_somebody_out_leads_back_to_the_sign_in_page(
    client: Client, with_single_logout: Connection
) -> None:
    xml = f'<samlp:LogoutResponse xmlns:samlp="{SP}:protocol"/>'
    packed = b64encode(zlib.compress(xml.encode())[2:-4]).decode()

    answer = client.get(endpoints.sls_url(with_single_logout), {"SAMLResponse": packed})

    assert answer["Location"] == "/sign-in/"


# --- By the provider ---------------------------------------------------------------------


def test_logout_request_ends_the_session(
    client: Client, with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, with_single_logout, signing)

    answer = client.get(logout_request_path(with_single_logout, signing))

    assert answer["Location"].startswith("https://idp.example.com/slo?SAMLResponse=")
    assert not is_in(client)


def test_logout_request_ends_the_session_of_another_browser(
    client: Client, with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    """Also in a frame, where browsers send no cookies of the portal."""
    login_steps.sign_in(client, with_single_logout, signing)

    Client().get(logout_request_path(with_single_logout, signing))

    assert not is_in(client)
    assert AuditEvent.objects.filter(kind="session.ended").count() == 1


def test_sign_out_of_no_session_in_particular_ends_all_that_it_began(
    with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    browsers = [Client(), Client()]
    for each in browsers:
        login_steps.sign_in(each, with_single_logout, signing)

    Client().get(logout_request_path(with_single_logout, signing, session=""))

    assert not any(is_in(each) for each in browsers)


def test_sign_out_of_another_session_leaves_this_one(
    client: Client, with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, with_single_logout, signing)

    client.get(logout_request_path(with_single_logout, signing, session="_another"))

    assert is_in(client)


def test_session_that_began_by_password_goes_on(
    with_single_logout: Connection, signing: SigningKey, maria: Membership, sign_in: SignIn
) -> None:
    by_password = Client()
    login_steps.sign_in(Client(), with_single_logout, signing)
    sign_in(by_password, maria)

    Client().get(logout_request_path(with_single_logout, signing, session=""))

    assert is_in(by_password)


def test_logout_request_for_an_unknown_name_is_answered(
    client: Client, with_single_logout: Connection, signing: SigningKey
) -> None:
    assert (
        client.get(logout_request_path(with_single_logout, signing, name_id="nobody")).status_code
        == 302
    )


@pytest.mark.parametrize("age", [timedelta(minutes=11), timedelta(minutes=-3)])
def test_expired_logout_request_is_refused(
    client: Client,
    with_single_logout: Connection,
    signing: SigningKey,
    maria: Membership,
    age: timedelta,
) -> None:
    login_steps.sign_in(client, with_single_logout, signing)

    answer = client.get(
        logout_request_path(with_single_logout, signing, issued_at=datetime.now(UTC) - age)
    )

    assert answer.status_code == 400
    assert is_in(client)


def test_logout_request_is_accepted_once(
    client: Client, with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    message = logout_request_path(with_single_logout, signing, session="")
    client.get(message)
    login_steps.sign_in(client, with_single_logout, signing)

    assert client.get(message).status_code == 400
    assert is_in(client)


def test_logout_request_with_another_key_is_refused(
    client: Client, with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, with_single_logout, signing)

    assert (
        client.get(logout_request_path(with_single_logout, make_key("mallory"))).status_code == 400
    )
    assert is_in(client)


def test_there_is_no_signing_out_where_the_provider_does_not_offer_it(
    client: Client, trusted: Connection, signing: SigningKey
) -> None:
    assert client.get(logout_request_path(trusted, signing)).status_code == 404


@pytest.mark.parametrize("began", ["at the provider", "with the password"])
def test_provider_ends_sign_ins_whose_second_factor_is_still_to_come(
    with_single_logout: Connection, signing: SigningKey, maria: Membership, began: str
) -> None:
    login_steps.sign_in(Client(), with_single_logout, signing)
    give_app(maria.user)
    half = Client()
    if began == "at the provider":
        login_steps.sign_in(half, with_single_logout, signing)
    else:
        half.post(reverse("account_login"), {"login": maria.user.email, "password": PASSWORD})

    Client().get(logout_request_path(with_single_logout, signing))

    half.post(reverse("mfa_authenticate"), {"code": code_at(datetime.now(UTC))})
    assert not is_in(half)


def test_logout_of_somebody_else_ends_no_half_sign_in(
    with_single_logout: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(Client(), with_single_logout, signing)
    give_app(maria.user)
    half = Client()
    login_steps.sign_in(half, with_single_logout, signing)

    Client().get(logout_request_path(with_single_logout, signing, name_id="nobody"))

    half.post(reverse("mfa_authenticate"), {"code": code_at(datetime.now(UTC))})
    assert is_in(half)

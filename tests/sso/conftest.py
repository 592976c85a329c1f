"""An account with a provider whose signing key the tests have."""

import pytest

from accounts.models import Membership
from sso.models import Connection
from tests.factories import CertificateFactory, ConnectionFactory, DomainFactory
from tests.idp.keys import SigningKey
from tests.sso.metadata_documents import key


@pytest.fixture
def signing() -> SigningKey:
    """The provider's signing key."""
    return key()


@pytest.fixture
def trusted(administrator: Membership, signing: SigningKey) -> Connection:
    """A connection that is on, with the domain example.com and just-in-time provisioning."""
    connection = ConnectionFactory.create(
        account=administrator.account,
        email_attribute="mail",
        name_attribute="displayName",
        role_attribute="role",
        takes_new_people=True,
    )
    CertificateFactory.create(connection=connection, pem=signing.certificate)
    DomainFactory.create(connection=connection, name="example.com", asked_by=administrator)
    return connection

"""An account with a provider whose key the tests have."""

import pytest

from accounts.models import Membership
from sso.models import Connection
from tests.factories import CertificateFactory, ConnectionFactory, DomainFactory
from tests.idp.keys import SigningKey
from tests.sso.metadata_documents import key


@pytest.fixture
def signing() -> SigningKey:
    """What the provider signs with."""
    return key()


@pytest.fixture
def trusted(administrator: Membership, signing: SigningKey) -> Connection:
    """Switched on, with the domain example.com, and taking new people."""
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

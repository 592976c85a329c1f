"""Creates keys and certificates of identity providers, for one test run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


class SigningKey(NamedTuple):
    """A private key and its self-signed certificate, as PEM."""

    key: str
    certificate: str


def make_key(
    name: str, *, not_before: datetime | None = None, not_after: datetime | None = None
) -> SigningKey:
    """A new RSA key. By default its certificate is valid from yesterday on, for a year."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return SigningKey(_pem(key), _certificate(key, name, not_before, not_after))


def certify_again(
    signing: SigningKey, name: str, *, not_before: datetime, not_after: datetime
) -> SigningKey:
    """The same key with a certificate of other dates."""
    key = serialization.load_pem_private_key(signing.key.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return SigningKey(signing.key, _certificate(key, name, not_before, not_after))


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _certificate(
    key: rsa.RSAPrivateKey, name: str, not_before: datetime | None, not_after: datetime | None
) -> str:
    now = datetime.now(UTC)
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - timedelta(days=1))
        .not_valid_after(not_after or now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()

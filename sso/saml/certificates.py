"""Parses the certificates that providers sign with, and refuses weak keys."""

import base64
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MIN_RSA_BITS = 2048
MIN_EC_BITS = 256


class SigningCertificate(NamedTuple):
    """A certificate in PEM, its SHA-256 fingerprint in lower-case hex, and its validity period."""

    pem: str
    fingerprint: str
    not_before: datetime
    not_after: datetime

    def is_valid(self, at: datetime) -> bool:
        return self.not_before <= at < self.not_after


def parse_certificate(text: str) -> SigningCertificate:
    """Parse a certificate in base64, as metadata hold it, or in PEM.

    Raises `ValidationError` if it cannot be parsed or its key is too weak.
    """
    try:
        certificate = x509.load_der_x509_certificate(_decode_der(text))
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise ValidationError(
            _(
                "A certificate in the metadata can't be read. Export the metadata from the "
                "provider again."
            ),
            code="certificate_unreadable",
        ) from None
    if not _is_strong(key):
        raise ValidationError(
            _(
                "The provider signs with a key that is too weak. Configure it to sign with an "
                "RSA key of at least %(bits)d bits."
            ),
            code="certificate_weak",
            params={"bits": MIN_RSA_BITS},
        )
    return SigningCertificate(
        pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _decode_der(text: str) -> bytes:
    lines = (line.strip() for line in text.splitlines())
    body = "".join(line for line in lines if not line.startswith("-----"))
    return base64.b64decode("".join(body.split()), validate=True)


def _is_strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= MIN_EC_BITS

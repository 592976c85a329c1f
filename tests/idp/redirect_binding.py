"""SAML messages of the HTTP-Redirect binding: query parameters, compressed and signed as text."""

from __future__ import annotations

import hmac
import zlib
from base64 import b64decode, b64encode
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.idp.keys import SigningKey

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
HMAC_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
HASHES: dict[str, hashes.HashAlgorithm] = {RSA_SHA256: hashes.SHA256(), RSA_SHA1: hashes.SHA1()}
REQUEST, RESPONSE = "SAMLRequest", "SAMLResponse"


class RedirectMessage(NamedTuple):
    """The query parameters of a message."""

    fields: dict[str, str]

    @classmethod
    def from_url(cls, url: str) -> RedirectMessage:
        return cls(dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)))

    @property
    def query(self) -> str:
        return urlencode(self.fields)

    @property
    def name(self) -> str:
        return REQUEST if REQUEST in self.fields else RESPONSE

    @property
    def xml(self) -> bytes:
        return zlib.decompress(b64decode(self.fields[self.name]), -zlib.MAX_WBITS)

    def with_xml(self, xml: bytes) -> RedirectMessage:
        """Replace the document, and leave the signature as it was."""
        return RedirectMessage({**self.fields, self.name: b64encode(deflate(xml)).decode()})

    def without(self, *names: str) -> RedirectMessage:
        return RedirectMessage(
            {name: text for name, text in self.fields.items() if name not in names}
        )

    def signed(self, signing: SigningKey, *, algorithm: str = RSA_SHA256) -> RedirectMessage:
        """Sign anew with this key."""
        key = serialization.load_pem_private_key(signing.key.encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        unsigned = self._to_sign(algorithm)
        signature = key.sign(unsigned.query.encode(), padding.PKCS1v15(), HASHES[algorithm])
        return unsigned._with_signature(signature)

    def signed_with_public_key(self, secret: bytes) -> RedirectMessage:
        """Sign with an HMAC whose key is public (key confusion)."""
        unsigned = self._to_sign(HMAC_SHA256)
        return unsigned._with_signature(hmac.digest(secret, unsigned.query.encode(), "sha256"))

    def _to_sign(self, algorithm: str) -> RedirectMessage:
        """The signed parameters, in the order of the standard."""
        kept = {
            name: self.fields[name] for name in (self.name, "RelayState") if name in self.fields
        }
        return RedirectMessage({**kept, "SigAlg": algorithm})

    def _with_signature(self, signature: bytes) -> RedirectMessage:
        return RedirectMessage({**self.fields, "Signature": b64encode(signature).decode()})


def deflate(raw: bytes) -> bytes:
    """Compress as the binding does (raw DEFLATE)."""
    return zlib.compress(raw, 9)[2:-4]

"""Creates metadata of identity providers, valid and invalid."""

from functools import lru_cache

from onelogin.saml2.constants import OneLogin_Saml2_Constants as Words
from onelogin.saml2.metadata import OneLogin_Saml2_Metadata

from tests.idp.keys import SigningKey, make_key

ENTITY_ID = "https://idp.example.com/metadata"
SIGN_IN = "https://idp.example.com/sso"
SIGN_OUT = "https://idp.example.com/slo"
BASE_URL = "https://tokens.example.net"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


@lru_cache
def key(name: str = "idp.example.com") -> SigningKey:
    """One key for each name: key generation is slow."""
    return make_key(name)


def certificate_base64(certificate: str) -> str:
    """The base64 of a PEM, as metadata hold it."""
    return "".join(line for line in certificate.splitlines() if not line.startswith("-----"))


def key_descriptor(certificate: str, use: str = ' use="signing"') -> str:
    return (
        f'<md:KeyDescriptor{use}><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f"<ds:X509Data><ds:X509Certificate>{certificate_base64(certificate)}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def metadata(
    *certificates: str,
    entity_id: str = ENTITY_ID,
    sign_in: str = SIGN_IN,
    sign_out: str = SIGN_OUT,
    binding: str = REDIRECT,
    attributes: str = "",
    keys: str | None = None,
    more: str = "",
    before: str = "",
) -> str:
    """Metadata of a provider; by default with the certificate of `key()`."""
    said = keys
    if said is None:
        said = "".join(map(key_descriptor, certificates or (key().certificate,)))
    leave = (
        f'<md:SingleLogoutService Binding="{REDIRECT}" Location="{sign_out}"/>' if sign_out else ""
    )
    return (
        f'{before}<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" '
        f'entityID="{entity_id}" {attributes}>{more}'
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{Words.NS_SAMLP}">{said}{leave}'
        f'<md:SingleSignOnService Binding="{POST}" Location="{sign_in}/post"/>'
        f'<md:SingleSignOnService Binding="{binding}" Location="{sign_in}"/>'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


def federation(*documents: str) -> str:
    """Metadata of several providers in one document."""
    return (
        '<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">'
        f"{''.join(documents)}</md:EntitiesDescriptor>"
    )


def sign_metadata(
    document: str, *, method: str = Words.RSA_SHA256, digest: str = Words.SHA256
) -> str:
    """Sign the document with the provider's key."""
    whose = key()
    made = OneLogin_Saml2_Metadata.sign_metadata(
        document, whose.key, whose.certificate, sign_algorithm=method, digest_algorithm=digest
    )
    return made.decode() if isinstance(made, bytes) else str(made)

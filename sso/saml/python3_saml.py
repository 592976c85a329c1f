"""How python3-saml is told who we are, who the provider is, and what we insist on."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from lxml import etree
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Words
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from sso.models import Connection
from sso.saml import endpoints

GOOD_FORMATS = (Words.NAMEID_PERSISTENT, Words.NAMEID_EMAIL_ADDRESS)
"""How people may be named, so that the name is theirs the next time too."""
_FORMAT = "{urn:oasis:names:tc:SAML:2.0:metadata}NameIDFormat"


def settings_of(connection: Connection, at: datetime) -> OneLogin_Saml2_Settings:
    """Its settings, with the certificates that are good `at` this moment and no others."""
    pems = list(connection.certificates.good(at).order_by("pk").values_list("pem", flat=True))
    identity_provider: dict[str, Any] = {
        "entityId": connection.entity_id,
        "singleSignOnService": {"url": connection.sso_url, "binding": Words.BINDING_HTTP_REDIRECT},
        "x509certMulti": {"signing": pems},
    }
    if connection.slo_url:
        identity_provider["singleLogoutService"] = {
            "url": connection.slo_url,
            "binding": Words.BINDING_HTTP_REDIRECT,
        }
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "debug": False,
            "sp": _ourselves(connection),
            "idp": identity_provider,
            "security": _SECURITY,
        },
        # The settings of the provider were checked when they were saved; a certificate that has
        # ended is no reason to fault here.
        sp_validation_only=True,
    )


def our_metadata(connection: Connection) -> bytes:
    """What the provider has to know of us: a document in XML."""
    told = OneLogin_Saml2_Settings(
        {"strict": True, "sp": _ourselves(connection), "security": _SECURITY},
        sp_validation_only=True,
    )
    root: etree._Element = etree.fromstring(told.get_sp_metadata())
    _let_last(root)
    _name_good_formats(root)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def _let_last(metadata: etree._Element) -> None:
    """python3-saml lets metadata end in two days. Most providers are given them once, as a file."""
    for name in ("validUntil", "cacheDuration"):
        metadata.attrib.pop(name, None)


def _name_good_formats(metadata: Any) -> None:
    """python3-saml names one format, or any. Providers that look here for how to name people would
    make up a name that is another the next time."""
    for unspecified in list(metadata.iter(_FORMAT)):
        for each in GOOD_FORMATS:
            good = etree.Element(_FORMAT)
            good.text = each
            unspecified.addprevious(good)
        unspecified.getparent().remove(unspecified)


def conversation(
    connection: Connection, at: datetime, *, path: str = "", query: dict[str, str] | None = None
) -> OneLogin_Saml2_Auth:
    """What python3-saml needs to ask the provider something, or to read what it says at `path`."""
    return OneLogin_Saml2_Auth(request_data(path, query), settings_of(connection, at))


def request_data(path: str = "", query: dict[str, str] | None = None) -> dict[str, Any]:
    """A request as python3-saml sees it: at the address that BASE_URL says."""
    base = urlsplit(settings.BASE_URL)
    return {
        "https": "on" if base.scheme == "https" else "off",
        "http_host": base.netloc,
        "script_name": "",
        "path_info": path,
        "get_data": query or {},
        "post_data": {},
    }


_SECURITY = {
    "authnRequestsSigned": False,
    "logoutRequestSigned": False,
    "logoutResponseSigned": False,
    "signMetadata": False,
    "requestedAuthnContext": False,
    "wantAssertionsSigned": True,
    # Those that come signed must fit; many providers sign the assertion alone.
    "wantMessagesSigned": False,
    "wantAttributeStatement": False,
    "wantNameId": True,
    "rejectDeprecatedAlgorithm": True,
    "allowRepeatAttributeName": True,
    # Companies run providers under short names of their own networks.
    "allowSingleLabelDomains": True,
    "signatureAlgorithm": Words.RSA_SHA256,
    "digestAlgorithm": Words.SHA256,
}


def _ourselves(connection: Connection) -> dict[str, Any]:
    return {
        "entityId": endpoints.entity_id(connection),
        "assertionConsumerService": {
            "url": endpoints.acs_url(connection),
            "binding": Words.BINDING_HTTP_POST,
        },
        "singleLogoutService": {
            "url": endpoints.sls_url(connection),
            "binding": Words.BINDING_HTTP_REDIRECT,
        },
        "NameIDFormat": Words.NAMEID_UNSPECIFIED,
    }

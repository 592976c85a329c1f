"""Adapter of the library python3-saml: a connection's settings, and the portal's own metadata.

The library gets the request's URL from BASE_URL instead of the Host header, accepts only
certificates that are valid now, requires signed assertions, and rejects SHA-1. What it does not
check, or too leniently, is checked in `sso.saml.signature_wrapping` before it and in
`sso.saml.responses` after it.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from lxml import etree
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as SAML
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from sso.models import Connection
from sso.saml import endpoints

STABLE_NAME_ID_FORMATS = (SAML.NAMEID_PERSISTENT, SAML.NAMEID_EMAIL_ADDRESS)
"""NameID formats that name a user by the same value each time (Core 8.3.2 and 8.3.7)."""
_FORMAT = "{urn:oasis:names:tc:SAML:2.0:metadata}NameIDFormat"


def build_settings(connection: Connection, at: datetime) -> OneLogin_Saml2_Settings:
    """The library's settings of a connection, with the certificates valid `at` this moment."""
    pems = list(connection.certificates.valid_at(at).order_by("pk").values_list("pem", flat=True))
    identity_provider: dict[str, Any] = {
        "entityId": connection.entity_id,
        "singleSignOnService": {"url": connection.sso_url, "binding": SAML.BINDING_HTTP_REDIRECT},
        "x509certMulti": {"signing": pems},
    }
    if connection.slo_url:
        identity_provider["singleLogoutService"] = {
            "url": connection.slo_url,
            "binding": SAML.BINDING_HTTP_REDIRECT,
        }
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "debug": False,
            "sp": _service_provider(connection),
            "idp": identity_provider,
            "security": _SECURITY,
        },
        # The provider's settings were checked when they were saved; an expired certificate must not
        # raise here.
        sp_validation_only=True,
    )


def sp_metadata(connection: Connection) -> bytes:
    """The portal's own metadata for the provider, as XML."""
    own = OneLogin_Saml2_Settings(
        {"strict": True, "sp": _service_provider(connection), "security": _SECURITY},
        sp_validation_only=True,
    )
    root: etree._Element = etree.fromstring(own.get_sp_metadata())
    _remove_expiry(root)
    _list_stable_formats(root)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def _remove_expiry(metadata: etree._Element) -> None:
    """Remove python3-saml's expiry after two days: most providers import the file once."""
    for name in ("validUntil", "cacheDuration"):
        metadata.attrib.pop(name, None)


def _list_stable_formats(metadata: Any) -> None:
    """List the stable NameID formats. python3-saml can declare one format or "unspecified", and for
    the latter some providers send a transient name."""
    for unspecified in list(metadata.iter(_FORMAT)):
        for each in STABLE_NAME_ID_FORMATS:
            stable = etree.Element(_FORMAT)
            stable.text = each
            unspecified.addprevious(stable)
        unspecified.getparent().remove(unspecified)


def build_auth(
    connection: Connection, at: datetime, *, path: str = "", query: dict[str, str] | None = None
) -> OneLogin_Saml2_Auth:
    """The library's object that builds requests to the provider, or reads messages at `path`."""
    return OneLogin_Saml2_Auth(request_data(path, query), build_settings(connection, at))


def request_data(path: str = "", query: dict[str, str] | None = None) -> dict[str, Any]:
    """The request as python3-saml expects it, at the URL that follows from BASE_URL."""
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
    # A signature of the message is verified where there is one; many providers sign none.
    "wantMessagesSigned": False,
    "wantAttributeStatement": False,
    "wantNameId": True,
    "rejectDeprecatedAlgorithm": True,
    "allowRepeatAttributeName": True,
    # Companies run providers under host names without a dot in their own networks.
    "allowSingleLabelDomains": True,
    "signatureAlgorithm": SAML.RSA_SHA256,
    "digestAlgorithm": SAML.SHA256,
}


def _service_provider(connection: Connection) -> dict[str, Any]:
    return {
        "entityId": endpoints.entity_id(connection),
        "assertionConsumerService": {
            "url": endpoints.acs_url(connection),
            "binding": SAML.BINDING_HTTP_POST,
        },
        "singleLogoutService": {
            "url": endpoints.sls_url(connection),
            "binding": SAML.BINDING_HTTP_REDIRECT,
        },
        "NameIDFormat": SAML.NAMEID_UNSPECIFIED,
    }

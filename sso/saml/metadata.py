"""Parses identity provider metadata (SAML 2.0 metadata, IDPSSODescriptor in section 2.4.3).

Pure: no database, clock or request. The document's author is not trusted:

- It has a bounded size, no DOCTYPE and no entities (XXE, entity expansion), and no network access.
- Signatures, where there are any, are valid (`sso.saml.metadata_signature`).
- URLs are https (http only where the portal itself uses it), without credentials, quotes or control
  characters: they become redirects, and `javascript:` in them would become XSS.
- Entity ID and URLs are not the portal's own: the portal would trust itself as a provider.
- Expired metadata (validUntil, 2.3.2) and expired certificates are not accepted.
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from lxml import etree

from sso.saml.certificates import SigningCertificate, parse_certificate
from sso.saml.metadata_signature import NAMESPACES, refuse_invalid_signatures

MAX_BYTES = 200 * 1024
"""Bytes, or characters of text. Metadata of one provider have a tenth of it."""
MAX_URL_LENGTH = 1024
MAX_CERTIFICATES = 4

_ENTITY = f"{{{NAMESPACES['md']}}}EntityDescriptor"
_ENTITIES = f"{{{NAMESPACES['md']}}}EntitiesDescriptor"
_SAML_2 = "urn:oasis:names:tc:SAML:2.0:protocol"
_REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_UNSAFE_IN_URL = re.compile("[\\s<>\"'`\\\\\\x00-\\x20\\x7f-\\x9f]")
_SCRIPT_SCHEMES = ("javascript", "data", "vbscript")


class Metadata(NamedTuple):
    """An identity provider: entity ID, endpoints (no `slo_url`: empty) and signing certificates."""

    entity_id: str
    sso_url: str
    slo_url: str
    certificates: tuple[SigningCertificate, ...]


def parse_metadata(document: str | bytes, *, base_url: str, at: datetime) -> Metadata:
    """Parse the metadata of exactly one provider. Expired certificates are left out.

    `base_url` is the portal's own URL, which is refused. Raises `ValidationError` with a code.
    """
    root = _parse_xml(document)
    if any(etree.QName(each).localname.lower() == "script" for each in root.iter("*")):
        _refuse(
            _("The file contains a script. Metadata never does: don't use this file."), "script"
        )
    refuse_invalid_signatures(root)
    role = _find_idp_descriptor(root)
    entity = role.getparent()
    assert entity is not None  # its parent was checked when it was found
    _refuse_expired([root, entity, role], at)
    portal = urlsplit(base_url)
    return Metadata(
        entity_id=_entity_id(entity, portal),
        sso_url=_sso_url(role, portal),
        slo_url=_redirect_endpoint(role, "SingleLogoutService", portal),
        certificates=_signing_certificates(role, at),
    )


def _parse_xml(document: str | bytes) -> etree._Element:
    if len(document) > MAX_BYTES:
        _refuse(
            _(
                "This is too large for the metadata of one provider. Paste only your provider's "
                "part."
            ),
            "too_large",
        )
    # Pasted text is UTF-8 by now, whatever encoding its XML declaration names.
    encoding, raw = (
        ("utf-8", document.strip("\ufeff \t\r\n").encode("utf-8", "replace"))
        if isinstance(document, str)
        else (None, document)
    )
    parser = etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        _refuse(
            _("This is not XML. Provide your identity provider's complete metadata document."),
            "not_xml",
        )
    if root.getroottree().docinfo.internalDTD is not None:
        _refuse(
            _("The file contains a DOCTYPE. Metadata never does: don't use this file."),
            "doctype",
        )
    return root


def _find_idp_descriptor(root: etree._Element) -> etree._Element:
    """The one IDPSSODescriptor for SAML 2.0."""
    if root.tag not in (_ENTITY, _ENTITIES):
        _refuse(
            _("This is XML, but not SAML metadata, which begins with EntityDescriptor."),
            "not_metadata",
        )
    found = [
        each
        for each in root.iter(f"{{{NAMESPACES['md']}}}IDPSSODescriptor")
        if _SAML_2 in each.get("protocolSupportEnumeration", "").split()
        and (parent := each.getparent()) is not None
        and parent.tag == _ENTITY
    ]
    if not found:
        _refuse(
            _(
                "The metadata doesn't describe a SAML 2.0 identity provider (IDPSSODescriptor). "
                "Use the provider's own metadata, not that of a service that uses it."
            ),
            "no_provider",
        )
    if len(found) > 1:
        _refuse(
            _(
                "The metadata describes several providers. Paste only the EntityDescriptor of "
                "yours."
            ),
            "several_providers",
        )
    return found[0]


def _refuse_expired(elements: list[etree._Element], at: datetime) -> None:
    """Refuse metadata if one of these elements has a validUntil in the past."""
    for element in elements:
        until = _parse_instant(element.get("validUntil", ""))
        if until is not None and until <= at:
            _refuse(
                _("This metadata has expired. Export it again."),
                "metadata_ended",
            )


def _parse_instant(text: str) -> datetime | None:
    try:
        at = parse_datetime(text.strip())
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) if at else None


def _entity_id(entity: etree._Element, portal: SplitResult) -> str:
    name: str = entity.get("entityID", "").strip()
    if not 0 < len(name) <= MAX_URL_LENGTH or _UNSAFE_IN_URL.search(name) or _is_script_url(name):
        _refuse(
            _(
                "The provider's entity ID is neither an address nor a name. Correct it at the "
                "provider."
            ),
            "entity_id",
        )
    if _is_on_portal(portal, name):
        _refuse_own_address()
    return name


def _sso_url(role: etree._Element, portal: SplitResult) -> str:
    address = _redirect_endpoint(role, "SingleSignOnService", portal)
    if not address:
        _refuse(
            _(
                "The provider gives no address for signing in by HTTP-Redirect. Turn on that "
                "binding at the provider."
            ),
            "no_sign_in_address",
        )
    return address


def _redirect_endpoint(role: etree._Element, name: str, portal: SplitResult) -> str:
    """The URL of this service with the HTTP-Redirect binding; empty if there is none."""
    offered = (
        each.get("Location", "").strip()
        for each in role.findall(f"md:{name}", NAMESPACES)
        if each.get("Binding") == _REDIRECT
    )
    address = next(offered, "")
    if address and not _is_usable_url(address, portal):
        _refuse(
            _(
                "The address “%(address)s” in the metadata can't be used. It must begin with "
                "https://."
            )
            % {"address": address[:200]},
            "address",
        )
    if address and _is_on_portal(portal, address):
        _refuse_own_address()
    return address


def _is_usable_url(text: str, portal: SplitResult) -> bool:
    """Plain http is for portals that are themselves tried out without https."""
    parts = _split_url(text)
    return (
        parts is not None
        and parts.scheme in {"https", portal.scheme}
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and len(text) <= MAX_URL_LENGTH
        and not _UNSAFE_IN_URL.search(text)
    )


def _is_script_url(text: str) -> bool:
    return text.lower().startswith(tuple(f"{scheme}:" for scheme in _SCRIPT_SCHEMES))


def _is_on_portal(portal: SplitResult, text: str) -> bool:
    parts = _split_url(text)
    return parts is not None and _host_and_port(parts) == _host_and_port(portal)


def _host_and_port(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _split_url(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # reading it is what finds out
    except ValueError:
        return None
    return parts


def _signing_certificates(role: etree._Element, at: datetime) -> tuple[SigningCertificate, ...]:
    """Certificates for signing, once each. A key without `use` serves for both (2.4.1.1)."""
    found = {
        (certificate := parse_certificate(each.text or "")).fingerprint: certificate
        for key in role.findall("md:KeyDescriptor", NAMESPACES)
        if key.get("use", "signing") == "signing"
        for each in key.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMESPACES)
    }
    if not found:
        _refuse(
            _(
                "The metadata contains no signing certificate. Configure the provider to publish "
                "the one it signs with."
            ),
            "no_certificate",
        )
    unexpired = tuple(each for each in found.values() if at < each.not_after)
    if not unexpired:
        _refuse(
            _("The provider's signing certificate has expired. Renew it at the provider first."),
            "certificate_ended",
        )
    if len(unexpired) > MAX_CERTIFICATES:
        _refuse(
            _(
                "The metadata contains more than %(most)d certificates. Remove the ones that "
                "aren't used."
            )
            % {"most": MAX_CERTIFICATES},
            "too_many_certificates",
        )
    return unexpired


def _refuse_own_address() -> NoReturn:
    _refuse(
        _("These are this portal's own addresses. Use your identity provider's metadata."),
        "own_entity_id",
    )


def _refuse(sentence: str, code: str) -> NoReturn:
    raise ValidationError(sentence, code=code)

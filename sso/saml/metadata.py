"""Reads what an identity provider says of itself: SAML 2.0 metadata, as somebody brings them.

Pure: no database, clock or request. Whoever wrote the document is a stranger, so it is small, needs
nothing from outside itself, and only what is looked for here is taken out of it.
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from lxml import etree

from sso.saml.certificates import Signer, read_certificate
from sso.saml.metadata_signature import NAMES, refuse_broken_signatures

LARGEST = 200 * 1024
"""Of bytes, or characters. Those of one provider are a tenth of it."""
LONGEST_ADDRESS = 1024
MOST_CERTIFICATES = 4

_ENTITY = f"{{{NAMES['md']}}}EntityDescriptor"
_ENTITIES = f"{{{NAMES['md']}}}EntitiesDescriptor"
_SAML_2 = "urn:oasis:names:tc:SAML:2.0:protocol"
_REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_NO_ADDRESS = re.compile("[\\s<>\"'`\\\\\\x00-\\x20\\x7f-\\x9f]")
_CODE = ("javascript", "data", "vbscript")


class Metadata(NamedTuple):
    """A provider: its name, where people sign in and (if anywhere) out, and what it signs with."""

    entity_id: str
    sso_url: str
    slo_url: str
    signers: tuple[Signer, ...]


def read(document: str | bytes, *, base_url: str, at: datetime) -> Metadata:
    """What the metadata say of the one provider in them. Certificates that have ended are left out.

    `base_url` is the portal's own address: it is no provider. Raises `ValidationError`, whose code
    names the trouble.
    """
    root = _parse(document)
    if any(etree.QName(each).localname.lower() == "script" for each in root.iter("*")):
        _refuse(_("There is a script in it. Metadata have none: do not use this file."), "script")
    refuse_broken_signatures(root)
    role = _provider_in(root)
    entity = role.getparent()
    assert entity is not None  # it is where the role was found
    _refuse_ended([root, entity, role], at)
    portal = urlsplit(base_url)
    return Metadata(
        entity_id=_entity_id(entity, portal),
        sso_url=_sign_in_address(role, portal),
        slo_url=_service(role, "SingleLogoutService", portal),
        signers=_signers(role, at),
    )


def _parse(document: str | bytes) -> etree._Element:
    if len(document) > LARGEST:
        _refuse(
            _("This is too large for the metadata of one provider. Paste its part alone."),
            "too_large",
        )
    # What people paste is UTF-8 by now, whatever its first line says.
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
            _("This is not XML. Bring the whole metadata document of your identity provider."),
            "not_xml",
        )
    if root.getroottree().docinfo.internalDTD is not None:
        _refuse(
            _("It has a DOCTYPE, which metadata have not: do not use this file."),
            "doctype",
        )
    return root


def _provider_in(root: etree._Element) -> etree._Element:
    """The one IDPSSODescriptor for SAML 2.0."""
    if root.tag not in (_ENTITY, _ENTITIES):
        _refuse(
            _("This is XML, but no SAML metadata. They begin with EntityDescriptor."),
            "not_metadata",
        )
    found = [
        each
        for each in root.iter(f"{{{NAMES['md']}}}IDPSSODescriptor")
        if _SAML_2 in each.get("protocolSupportEnumeration", "").split()
        and (parent := each.getparent()) is not None
        and parent.tag == _ENTITY
    ]
    if not found:
        _refuse(
            _(
                "They describe no identity provider for SAML 2.0 (IDPSSODescriptor). Take the "
                "metadata of the provider, not those of a service that uses it."
            ),
            "no_provider",
        )
    if len(found) > 1:
        _refuse(
            _("They describe several providers. Paste the EntityDescriptor of yours alone."),
            "several_providers",
        )
    return found[0]


def _refuse_ended(elements: list[etree._Element], at: datetime) -> None:
    for element in elements:
        until = _instant(element.get("validUntil", ""))
        if until is not None and until <= at:
            _refuse(
                _("These metadata were good for a limited time, which is over. Export new ones."),
                "metadata_ended",
            )


def _instant(text: str) -> datetime | None:
    try:
        at = parse_datetime(text.strip())
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) if at else None


def _entity_id(entity: etree._Element, portal: SplitResult) -> str:
    name: str = entity.get("entityID", "").strip()
    if not 0 < len(name) <= LONGEST_ADDRESS or _NO_ADDRESS.search(name) or _is_code(name):
        _refuse(
            _("The entity ID of the provider is no address or name. Correct it at the provider."),
            "entity_id",
        )
    if _is_of(portal, name):
        _refuse_own()
    return name


def _sign_in_address(role: etree._Element, portal: SplitResult) -> str:
    address = _service(role, "SingleSignOnService", portal)
    if not address:
        _refuse(
            _(
                "The provider names no address for signing in by HTTP-Redirect. Switch that "
                "binding on at the provider."
            ),
            "no_sign_in_address",
        )
    return address


def _service(role: etree._Element, name: str, portal: SplitResult) -> str:
    """Where the provider offers this by HTTP-Redirect; empty if it does not."""
    offered = (
        each.get("Location", "").strip()
        for each in role.findall(f"md:{name}", NAMES)
        if each.get("Binding") == _REDIRECT
    )
    address = next(offered, "")
    if address and not _is_address(address, portal):
        _refuse(
            _("The address “%(address)s” in it cannot be used. It has to begin with https://.")
            % {"address": address[:200]},
            "address",
        )
    if address and _is_of(portal, address):
        _refuse_own()
    return address


def _is_address(text: str, portal: SplitResult) -> bool:
    """Plain http is for portals that are themselves tried out without https."""
    parts = _split(text)
    return (
        parts is not None
        and parts.scheme in {"https", portal.scheme}
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and len(text) <= LONGEST_ADDRESS
        and not _NO_ADDRESS.search(text)
    )


def _is_code(text: str) -> bool:
    return text.lower().startswith(tuple(f"{scheme}:" for scheme in _CODE))


def _is_of(portal: SplitResult, text: str) -> bool:
    parts = _split(text)
    return parts is not None and _place(parts) == _place(portal)


def _place(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # reading it is what finds out
    except ValueError:
        return None
    return parts


def _signers(role: etree._Element, at: datetime) -> tuple[Signer, ...]:
    found = {
        (signer := read_certificate(each.text or "")).fingerprint: signer
        for key in role.findall("md:KeyDescriptor", NAMES)
        if key.get("use", "signing") == "signing"
        for each in key.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMES)
    }
    if not found:
        _refuse(
            _(
                "There is no certificate for signing in it. Let the provider publish the one it "
                "signs with."
            ),
            "no_certificate",
        )
    lasting = tuple(signer for signer in found.values() if at < signer.not_after)
    if not lasting:
        _refuse(
            _(
                "The certificate that the provider signs with has ended. Renew it at the provider "
                "first."
            ),
            "certificate_ended",
        )
    if len(lasting) > MOST_CERTIFICATES:
        _refuse(
            _("There are more than %(most)d certificates in it. Leave those out that are not used.")
            % {"most": MOST_CERTIFICATES},
            "too_many_certificates",
        )
    return lasting


def _refuse_own() -> NoReturn:
    _refuse(
        _("These are addresses of this portal. Take the metadata of your identity provider."),
        "own_entity_id",
    )


def _refuse(sentence: str, code: str) -> NoReturn:
    raise ValidationError(sentence, code=code)

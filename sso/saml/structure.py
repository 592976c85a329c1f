"""What a SAML response must look like before a word of it is believed. Pure: no clock, database,
key or request.

Attacks on SAML make the part that was signed and the part that is read two different things. So
there is one response with one assertion, ids are what they say, each signature signs the element
that it stands in and nothing else, and nothing is in the document that two readers could take for
different things.
"""

import base64
import binascii
import re

from lxml import etree

from sso.saml.errors import Refused

SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"

LONGEST = 128 * 1024
"""In base64. Those of large companies with all their groups have a third of it."""

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SIGNATURES = frozenset(
    f"{_MORE}{key}-{digest}"
    for key in ("rsa", "ecdsa")
    for digest in ("sha256", "sha384", "sha512")
)
DIGESTS = frozenset(
    (
        "http://www.w3.org/2001/04/xmlenc#sha256",
        f"{_MORE}sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    )
)
CANONICAL = "http://www.w3.org/2001/10/xml-exc-c14n#"
TRANSFORMS = frozenset(("http://www.w3.org/2000/09/xmldsig#enveloped-signature", CANONICAL))


def parse(text: str) -> etree._Element:
    """The root of a response as a browser has sent it, in base64. Raises `Refused`."""
    document = _decoded(text)
    root = parse_document(document)
    _refuse_odd_structure(root)
    _refuse_unsigned(assertion_in(root))
    for signature in root.iter(f"{DS}Signature"):
        _refuse_odd_signature(signature)
    return root


def parse_document(document: bytes) -> etree._Element:
    """The root of a document that no two parsers read differently. Raises `Refused`."""
    _refuse_odd_text(document)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Refused("not_xml") from None
    if root.getroottree().docinfo.doctype:
        raise Refused("doctype")
    if root.xpath("//comment()|//processing-instruction()"):
        raise Refused("odd_node")
    return root


def assertion_in(root: etree._Element) -> etree._Element:
    """The one assertion of a response that `parse` has let through."""
    assertion = root.find(f"{SAML}Assertion")
    assert assertion is not None
    return assertion


def is_signed(node: etree._Element) -> bool:
    """True if the element has a signature of its own. Whether that is good is for others to see."""
    return node.find(f"{DS}Signature") is not None


def text_of(node: etree._Element) -> str:
    return "".join(node.itertext()).strip()


def _decoded(text: str) -> bytes:
    if not text.strip():
        raise Refused("nothing")
    if len(text) > LONGEST:
        raise Refused("too_large")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not_base64") from None


def _refuse_odd_text(document: bytes) -> None:
    """Another encoding could hide from us what it shows to a parser."""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("encoding") from None
    declared = re.match(r"""\ufeff?<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']""", text)
    if declared and declared[1].lower() != "utf-8":
        raise Refused("encoding")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Refused("doctype")


def _refuse_odd_structure(root: etree._Element) -> None:
    if root.tag != f"{SAMLP}Response" or root.get("Version") != "2.0":
        raise Refused("not_a_response")
    status = root.find(f"{SAMLP}Status/{SAMLP}StatusCode")
    if status is not None and status.get("Value") != SUCCESS:
        raise Refused("status")
    if next(root.iter(f"{SAML}EncryptedAssertion", f"{SAML}EncryptedID"), None) is not None:
        raise Refused("encrypted")
    assertions = list(root.iter(f"{SAML}Assertion"))
    responses = list(root.iter(f"{SAMLP}Response"))
    if len(responses) != 1 or len(assertions) != 1 or assertions[0].getparent() is not root:
        raise Refused("shape")
    ids = [value for node in root.iter() for name, value in node.items() if _is_id(name)]
    if len(ids) != len(set(ids)):
        raise Refused("duplicate_id")


def _refuse_unsigned(assertion: etree._Element) -> None:
    """Assertions are what is kept and believed: a signature around one is not enough."""
    if not is_signed(assertion):
        raise Refused("unsigned")


def _is_id(name: str) -> bool:
    local: str = etree.QName(name).localname
    return local.lower() == "id"


def _refuse_odd_signature(signature: etree._Element) -> None:
    signed = signature.getparent()
    if signed is None or signed.tag not in (f"{SAMLP}Response", f"{SAML}Assertion"):
        raise Refused("signature_shape")
    references = signature.findall(f"{DS}SignedInfo/{DS}Reference")
    is_plain = (
        len(signed.findall(f"{DS}Signature")) == 1
        and len(references) == len(list(signature.iter(f"{DS}Reference"))) == 1
        and signature.find(f".//{DS}Object") is None
        and bool(signed.get("ID"))
        and references[0].get("URI") == f"#{signed.get('ID')}"
    )
    if not is_plain:
        raise Refused("signature_shape")
    _refuse_weak_methods(signature)


def _refuse_weak_methods(signature: etree._Element) -> None:
    """HMAC is among the weak: its key would be the certificate, which everybody has."""
    for name, good in (
        ("SignatureMethod", SIGNATURES),
        ("DigestMethod", DIGESTS),
        ("CanonicalizationMethod", frozenset((CANONICAL,))),
        ("Transform", TRANSFORMS),
    ):
        methods = list(signature.iter(f"{DS}{name}"))
        if not methods or any(method.get("Algorithm") not in good for method in methods):
            raise Refused("algorithm")

"""Structural checks of a SAML response before any of its content is trusted. Pure: no clock, key,
database or request.

Most attacks on SAML make the part that is verified and the part that is read two different elements
(XML signature wrapping, "On Breaking SAML", 2012) or make two parsers read two different documents.
So whatever would leave a choice is refused. "Core" is the SAML 2.0 core specification.

- Encoding other than UTF-8: it could hide a DOCTYPE from these checks and show it to the parser.
- DOCTYPE and entities: external entities (XXE) read files and URLs, nested ones exhaust memory.
- Comments and processing instructions: canonicalization drops comments, so that a signed name with
  a comment in it can be cut short by a reader that takes the first text node alone.
- More than one response or assertion, or an assertion that is not the response's child: wrapping.
- An ID that occurs twice (Core 1.3.4): the reference of a signature would be ambiguous.
- Encrypted elements: the portal has no key, and decryption would yield XML that was not checked.
- An assertion without a signature of its own (Profiles 4.1.4.5).
- A signature with several references, or that refers to anything but its parent element (Core
  5.4.2), or with an Object, where the signed original could be moved: wrapping.
- Canonicalization and transforms other than those of Core 5.4.3 and 5.4.4: they could remove what
  is read from what is signed.
- Weak and symmetric signature methods: see `sso.saml.algorithms`.
"""

import base64
import binascii
import re

from lxml import etree

from sso.saml.algorithms import (
    DIGEST_METHODS,
    EXCLUSIVE_C14N,
    SIGNATURE_METHODS,
    TRANSFORMS,
)
from sso.saml.errors import Refused

SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"

MAX_BASE64_LENGTH = 128 * 1024
"""Characters. Responses of large companies with all groups of a user have a third of it."""


def parse_response(text: str) -> etree._Element:
    """Parse a response as posted, in base64, and return its root. Raises `Refused`."""
    root = parse_xml(_decode_base64(text))
    _refuse_unexpected_structure(root)
    _refuse_unsigned_assertion(find_assertion(root))
    for signature in root.iter(f"{DS}Signature"):
        _refuse_wrapped_signature(signature)
    return root


def parse_xml(document: bytes) -> etree._Element:
    """Parse a message that all parsers read alike, and return its root. Raises `Refused`."""
    _refuse_encoding_and_doctype(document)
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


def find_assertion(root: etree._Element) -> etree._Element:
    """The only assertion of a response that `parse_response` has returned."""
    assertion = root.find(f"{SAML}Assertion")
    assert assertion is not None
    return assertion


def is_signed(node: etree._Element) -> bool:
    """True if the element has a signature of its own. It is not verified here."""
    return node.find(f"{DS}Signature") is not None


def text_content(node: etree._Element) -> str:
    return "".join(node.itertext()).strip()


def _decode_base64(text: str) -> bytes:
    if not text.strip():
        raise Refused("nothing")
    if len(text) > MAX_BASE64_LENGTH:
        raise Refused("too_large")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not_base64") from None


def _refuse_encoding_and_doctype(document: bytes) -> None:
    """Refuse encodings that could hide a DOCTYPE, and document types and entities themselves."""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("encoding") from None
    declared = re.match(r"""\ufeff?<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']""", text)
    if declared and declared[1].lower() != "utf-8":
        raise Refused("encoding")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Refused("doctype")


def _refuse_unexpected_structure(root: etree._Element) -> None:
    """Refuse other messages, failures, encryption, more than one assertion, and ambiguous IDs."""
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


def _refuse_unsigned_assertion(assertion: etree._Element) -> None:
    """Require a signature of the assertion itself: with HTTP-POST one around it is not enough."""
    if not is_signed(assertion):
        raise Refused("unsigned")


def _is_id(name: str) -> bool:
    local: str = etree.QName(name).localname
    return local.lower() == "id"


def _refuse_wrapped_signature(signature: etree._Element) -> None:
    """Require that a signature signs the element that it stands in, as a whole and nothing else."""
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
    _refuse_weak_algorithms(signature)


def _refuse_weak_algorithms(signature: etree._Element) -> None:
    """Require that all algorithms are accepted ones, wherever the signature names them."""
    for name, accepted in (
        ("SignatureMethod", SIGNATURE_METHODS),
        ("DigestMethod", DIGEST_METHODS),
        ("CanonicalizationMethod", frozenset((EXCLUSIVE_C14N,))),
        ("Transform", TRANSFORMS),
    ):
        methods = list(signature.iter(f"{DS}{name}"))
        if not methods or any(method.get("Algorithm") not in accepted for method in methods):
            raise Refused("algorithm")

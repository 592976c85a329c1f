"""Signatures of responses: removed, made anew with a key, and forged without one."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import partial
from typing import Any

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree
from xmlsec import constants

from tests.idp.keys import SigningKey
from tests.idp.mutations import (
    ASSERTION,
    NAMESPACES,
    RESPONSE,
    SIGNATURE,
    SUBJECT,
    Element,
    find,
    parse,
    serialize,
    set_text,
)

SIGNED = (ASSERTION, RESPONSE)
"""Elements that can be signed, the inner one first."""
HMAC_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": hashlib.sha256,
    "http://www.w3.org/2001/04/xmlenc#sha512": hashlib.sha512,
    "http://www.w3.org/2000/09/xmldsig#sha1": hashlib.sha1,
}


def signed_paths(root: Element) -> list[str]:
    """The elements that have a signature, the inner one first."""
    return [path for path in SIGNED if _signature_of(root, path) is not None]


def remove_signatures(xml: bytes, paths: Iterable[str] = SIGNED) -> bytes:
    """Remove the signatures of these elements."""
    root = parse(xml)
    for path in paths:
        signature = _signature_of(root, path)
        if signature is not None:
            signature.getparent().remove(signature)
    return serialize(root)


def sign_anew(
    xml: bytes,
    signing: SigningKey,
    *,
    paths: Iterable[str] | None = None,
    method: Any = constants.TransformRsaSha256,
    digest: Any = constants.TransformSha256,
) -> bytes:
    """Sign the elements that were signed, or these, with this key and its certificate."""
    chosen = signed_paths(parse(xml)) if paths is None else list(paths)
    root = parse(remove_signatures(xml))
    for path in SIGNED:
        if path in chosen:
            _sign(find(root, path), signing, method, digest)
    return serialize(root)


def _sign(element: Element, signing: SigningKey, method: Any, digest: Any) -> None:
    signature = xmlsec.template.create(element, constants.TransformExclC14N, method, ns="ds")
    find(element, "saml:Issuer").addnext(signature)
    reference = xmlsec.template.add_reference(signature, digest, uri=f"#{element.get('ID')}")
    xmlsec.template.add_transform(reference, constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, constants.TransformExclC14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.tree.add_ids(element, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(signing.key, constants.KeyDataFormatPem)
    context.key.load_cert_from_memory(signing.certificate, constants.KeyDataFormatPem)
    context.sign(signature)


def _signature_of(root: Element, path: str) -> Element | None:
    element = root.find(path, NAMESPACES)
    return None if element is None else element.find(SIGNATURE, NAMESPACES)


def sign_with_public_key(xml: bytes, secret: bytes) -> bytes:
    """Replace the signatures by HMACs with the provider's public certificate as the key.

    A verifier that takes the method from the message accepts them (key confusion).
    """
    root = parse(xml)
    for path in signed_paths(root):
        signature = _signature_of(root, path)
        assert signature is not None
        method = find(signature, "ds:SignedInfo/ds:SignatureMethod")
        method.set("Algorithm", HMAC_SHA256)
        _update_digest(root, signature)
        code = hmac.digest(secret, _canonical(find(signature, "ds:SignedInfo")), "sha256")
        set_text("ds:SignatureValue", b64encode(code).decode())(signature)
    return serialize(root)


def _update_digest(root: Element, signature: Element) -> None:
    reference = find(signature, "ds:SignedInfo/ds:Reference")
    set_text("ds:DigestValue", _digest(_referenced(root, reference), reference))(reference)


def public_key_encodings(certificate: str) -> dict[str, bytes]:
    """The encodings of a provider's public key and certificate."""
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    key, spki = loaded.public_key(), serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        "certificate, PEM": certificate.encode(),
        "certificate, DER": loaded.public_bytes(serialization.Encoding.DER),
        "key, PEM": key.public_bytes(serialization.Encoding.PEM, spki),
        "key, DER": key.public_bytes(serialization.Encoding.DER, spki),
    }


# --- A naive verifier ----------------------------------------------------------------------------


def passes_naive_verifier(xml: bytes, certificate: str) -> bool:
    """True if a verifier accepts the response that finds the signed element by its ID, anywhere in
    the document, and trusts every assertion once all signatures are valid."""
    root = parse(xml)
    signatures = root.findall(f".//{SIGNATURE}", NAMESPACES)
    check = partial(_verifies_naively, root, certificate)
    return bool(signatures) and all(map(check, signatures))


def naive_subject(xml: bytes) -> str:
    """The subject that such a verifier signs in."""
    return str(find(parse(xml), SUBJECT).text)


def _verifies_naively(root: Element, certificate: str, signature: Element) -> bool:
    info = find(signature, "ds:SignedInfo")
    reference = find(info, "ds:Reference")
    expected = (find(reference, "ds:DigestValue").text or "").strip()
    if _digest(_referenced(root, reference), reference) != expected:
        return False
    # Verify the signature value alone, whatever surrounds it.
    return _verifies(certificate, info, find(signature, "ds:SignatureValue").text or "")


def _verifies(certificate: str, info: Element, value: str) -> bool:
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate, constants.KeyDataFormatCertPem)
    try:
        context.verify_binary(
            _canonical(info), constants.TransformRsaSha256, b64decode("".join(value.split()))
        )
    except xmlsec.Error:
        return False
    return True


def _referenced(root: Element, reference: Element) -> Element:
    wanted = reference.get("URI").removeprefix("#")
    return next(each for each in root.iter() if each.get("ID") == wanted)


def _digest(element: Element, reference: Element) -> str:
    """The digest of an element without its own signature."""
    copy = etree.fromstring(_canonical(element, with_comments=True))
    signature = copy.find(SIGNATURE, NAMESPACES)
    if signature is not None:
        copy.remove(signature)
    algorithm = DIGESTS[find(reference, "ds:DigestMethod").get("Algorithm")]
    return b64encode(algorithm(_canonical(copy)).digest()).decode()


def _canonical(element: Element, *, with_comments: bool = False) -> bytes:
    return bytes(
        etree.tostring(element, method="c14n", exclusive=True, with_comments=with_comments)
    )

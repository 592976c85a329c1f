"""Verifies signatures of metadata, where there are any (SAML 2.0 metadata, section 3).

The certificate comes with the signature, so that it proves nothing about the author: the
Administrator who imports the metadata vouches for that. It proves that they were not changed or cut
since they were signed. As in messages, a signature must refer to its parent element and to nothing
else, and IDs must be unique, so that what is verified is what is read (signature wrapping).
"""

from collections.abc import Iterable

import xmlsec
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from lxml import etree

from sso.saml.algorithms import DIGEST_METHODS, SIGNATURE_METHODS
from sso.saml.certificates import parse_certificate

NAMESPACES = {
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}


def refuse_invalid_signatures(root: etree._Element) -> None:
    """Raise `ValidationError` for an invalid signature. Metadata without any are accepted."""
    signatures = root.findall(".//ds:Signature", NAMESPACES)
    if signatures and not (_has_unique_ids(root) and all(map(_is_valid, signatures))):
        raise ValidationError(
            _(
                "The metadata's signature is invalid: it was changed after it was signed, or "
                "signed with an outdated method. Export it from the provider again."
            ),
            code="signature",
        )


def _has_unique_ids(root: etree._Element) -> bool:
    ids = [each.get("ID") for each in root.iter() if each.get("ID") is not None]
    return len(ids) == len(set(ids))


def _is_valid(signature: etree._Element) -> bool:
    methods = _algorithms(signature, "ds:SignedInfo/ds:SignatureMethod")
    digests = _algorithms(signature, "ds:SignedInfo/ds:Reference/ds:DigestMethod")
    return (
        len(methods) == len(digests) == 1
        and SIGNATURE_METHODS.issuperset(methods)
        and DIGEST_METHODS.issuperset(digests)
        and _references_its_parent(signature)
        and any(_verifies(signature, pem) for pem in _certificates(signature))
    )


def _algorithms(signature: etree._Element, path: str) -> list[str | None]:
    return [each.get("Algorithm") for each in signature.findall(path, NAMESPACES)]


def _references_its_parent(signature: etree._Element) -> bool:
    references = signature.findall("ds:SignedInfo/ds:Reference", NAMESPACES)
    parent = signature.getparent()
    if parent is None or len(references) != 1:
        return False
    target, name = references[0].get("URI"), parent.get("ID")
    is_root = parent.getparent() is None
    return (target == "" and is_root) or (bool(name) and target == f"#{name}")


def _certificates(signature: etree._Element) -> Iterable[str]:
    path = "ds:KeyInfo/ds:X509Data/ds:X509Certificate"
    for each in signature.findall(path, NAMESPACES):
        try:
            yield parse_certificate(each.text or "").pem
        except ValidationError:
            continue


def _verifies(signature: etree._Element, pem: str) -> bool:
    context = xmlsec.SignatureContext()
    parent = signature.getparent()
    try:
        xmlsec.tree.add_ids(parent, ["ID"])
        context.key = xmlsec.Key.from_memory(pem.encode(), xmlsec.constants.KeyDataFormatCertPem)
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True

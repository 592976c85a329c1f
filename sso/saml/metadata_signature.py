"""Whether metadata that are signed are signed rightly.

The certificate comes with the signature, so that it proves nothing about who wrote the metadata:
that the Administrator vouches for. It tells that nobody has changed or cut them since.
"""

from collections.abc import Iterable

import xmlsec
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from lxml import etree

from sso.saml.certificates import read_certificate

NAMES = {
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
# None of them is an HMAC, whose key would be the certificate that everybody can read.
METHODS = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
}
DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
}


def refuse_broken_signatures(root: etree._Element) -> None:
    """Raises `ValidationError` unless all signatures in the document are good. None is good too."""
    signatures = root.findall(".//ds:Signature", NAMES)
    if signatures and not (_has_unique_ids(root) and all(map(_is_good, signatures))):
        raise ValidationError(
            _(
                "The signature of the metadata is wrong: they were changed after they were signed, "
                "or are signed by an outdated method. Export them from the provider again."
            ),
            code="signature",
        )


def _has_unique_ids(root: etree._Element) -> bool:
    ids = [each.get("ID") for each in root.iter() if each.get("ID") is not None]
    return len(ids) == len(set(ids))


def _is_good(signature: etree._Element) -> bool:
    methods = _algorithms(signature, "ds:SignedInfo/ds:SignatureMethod")
    digests = _algorithms(signature, "ds:SignedInfo/ds:Reference/ds:DigestMethod")
    return (
        len(methods) == len(digests) == 1
        and METHODS.issuperset(methods)
        and DIGESTS.issuperset(digests)
        and _is_about_its_parent(signature)
        and any(_verifies(signature, pem) for pem in _certificates(signature))
    )


def _algorithms(signature: etree._Element, path: str) -> list[str | None]:
    return [each.get("Algorithm") for each in signature.findall(path, NAMES)]


def _is_about_its_parent(signature: etree._Element) -> bool:
    references = signature.findall("ds:SignedInfo/ds:Reference", NAMES)
    parent = signature.getparent()
    if parent is None or len(references) != 1:
        return False
    target, name = references[0].get("URI"), parent.get("ID")
    is_root = parent.getparent() is None
    return (target == "" and is_root) or (bool(name) and target == f"#{name}")


def _certificates(signature: etree._Element) -> Iterable[str]:
    path = "ds:KeyInfo/ds:X509Data/ds:X509Certificate"
    for each in signature.findall(path, NAMES):
        try:
            yield read_certificate(each.text or "").pem
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

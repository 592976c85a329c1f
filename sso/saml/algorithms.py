"""XML signature algorithms that are accepted, in SAML messages and in metadata alike.

SHA-1 is left out because collisions are practical, HMAC because its key would be the provider's
certificate, which is public (key confusion).
"""

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SIGNATURE_METHODS = frozenset(
    f"{_MORE}{key}-{digest}"
    for key in ("rsa", "ecdsa")
    for digest in ("sha256", "sha384", "sha512")
)
DIGEST_METHODS = frozenset(
    (
        "http://www.w3.org/2001/04/xmlenc#sha256",
        f"{_MORE}sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    )
)
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
TRANSFORMS = frozenset(("http://www.w3.org/2000/09/xmldsig#enveloped-signature", EXCLUSIVE_C14N))

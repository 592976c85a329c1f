"""One spelling of a password, whichever keyboard it is typed on."""

import unicodedata

LONGEST_PASSWORD = 4096
"""Characters. Composing a longer text could take long, and nobody types one."""


def normal_password(typed: str) -> str:
    """The password as it is hashed: composed (NFC), with plain spaces.

    That is the profile OpaqueString of RFC 8265. A Mac may send "é" as two characters and a
    no-break space for Option and Space. NFKC would do more, and make different passwords equal.
    """
    if typed.isascii() or len(typed) > LONGEST_PASSWORD:
        return typed
    plain = "".join(" " if unicodedata.category(each) == "Zs" else each for each in typed)
    return unicodedata.normalize("NFC", plain)


def forms_to_check(typed: str) -> list[str]:
    """The password as it is hashed, and as it was before it was composed, if that differs."""
    return list(dict.fromkeys([normal_password(typed), typed]))

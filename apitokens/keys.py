"""API tokens as text: make, spell, parse, digest. Pure: no database, clock or request.

A token reads `<id>$<secret>` or, safe in shells, `<id>_<secret>`; both always mean the same. The
secret is 64 hexadecimal digits (256 bits from the operating system) and 8 more that are the CRC-32
of id and secret. A CRC notices every single wrong, missing or swapped neighbouring character with
certainty, and any other damage but for one in four thousand million, before anything is looked up;
it is no protection against attackers and needs to be none. What protects is the 256 bits: such a
secret needs no slow hash (OWASP ASVS 5.0, 11.5.1 and 6.5.2), so a keyed one is stored.

A verifier key, by which another system may ask about tokens, is made alike and reads
`verifier_<id>_<secret>`. The prefix is part of what the checksum and the digest are made from: no
text is both, and neither becomes the other by cutting.
"""

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Literal

Separator = Literal["$", "_"]
Prefix = Literal["", "verifier_"]

VERIFIER: Prefix = "verifier_"

SECRET_BYTES = 32
DIGEST_BYTES = 32
LONGEST = 19 + 1 + 72
"""No token is longer, in characters: a 64-bit id, the separator, secret and checksum."""
_AFTER_ID = 1 + 72

_SHAPE = re.compile(r"([1-9][0-9]{0,18})[$_]([0-9a-f]{64})([0-9a-f]{8})")
_ID_ALONE = re.compile(r"[1-9][0-9]{0,18}[$_]?")
# As it is written, or as addresses, JSON and HTML write the separator; or the end of one by itself.
SEPARATORS = r"[$_]|%(?:25)*(?:24|5f)|\\[ux]0*(?:24|5f)|&#(?:36|95|x24|x5f);"
_ANYWHERE = re.compile(
    rf"([0-9]{{1,19}}(?:{SEPARATORS}))[0-9a-f]{{16,}}|(?<![0-9a-f])[0-9a-f]{{72}}(?![0-9a-f])",
    re.IGNORECASE,
)
_WITH_ID = re.compile(
    rf"(?<![0-9])([1-9][0-9]{{0,18}})(?:{SEPARATORS})[0-9a-f]{{16,}}", re.IGNORECASE
)
_IN_BASE64 = re.compile(
    r"(?:[MNOQRYZ][DEGTUWjkmz02][ABEFIJMNQRUVYZcdghkl][B-Gh-mw-z0-5]){5,}[\w+/-]*=*",
    re.ASCII,
)
"""What 15 hexadecimal digits or more become, three by three: as the password of Basic, for one."""
_IN_PIECES = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{4,71}+(?:\s{1,40}+[0-9a-f]{4,71}+){1,7}(?![0-9a-f])", re.IGNORECASE
)
"""What may be a secret that a line break or a blank has cut into pieces."""
_SECRET_DIGITS = 72
_HIGHEST_ID = 2**63 - 1
_BEGUN_FINGERPRINT = blake2b(key=secrets.token_bytes(32), digest_size=DIGEST_BYTES)
"""Has read its key already. To be copied, never updated."""


class Damage(StrEnum):
    """Kinds of damage to text that is no token."""

    SHAPE = "shape"
    CHECKSUM = "checksum"
    TRUNCATED = "token_truncated"
    """Only the id arrived: a shell took `$…` for a variable."""


class Malformed(ValueError):
    """The text cannot be an API token. Does not repeat the text."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(f"not an API token: {damage}")
        self.damage = damage


@dataclass(frozen=True, slots=True)
class Key:
    """A token in parts: its id and its secret (64 hexadecimal digits, never shown by `repr`)."""

    id: int
    secret: str = field(repr=False)
    prefix: Prefix = ""

    def spell(self, separator: Separator = "$") -> str:
        """The text a client sends. This is the secret itself: show it once and let it go."""
        tail = checksum(self.id, self.secret, self.prefix)
        return f"{self.prefix}{self.id}{separator}{self.secret}{tail}"


def make(token_id: int, prefix: Prefix = "") -> Key:
    """A new key with 256 bits from the operating system. `token_id` is from 1 to 2**63 - 1."""
    if not 1 <= token_id <= _HIGHEST_ID:
        raise ValueError("A token id is a positive 64-bit number.")
    return Key(token_id, secrets.token_hex(SECRET_BYTES), prefix)


def parse_verifier(text: str) -> Key:
    """Take the text of a verifier key apart. Raises `Malformed`; does no I/O."""
    if not text.startswith(VERIFIER):
        raise Malformed(Damage.SHAPE)
    return parse(text[len(VERIFIER) :], VERIFIER)


def parse(text: str, prefix: Prefix = "") -> Key:
    """Take the text of a token (what follows the prefix) apart, in either spelling. Raises
    `Malformed`; does no I/O."""
    key = read(text, prefix)
    if isinstance(key, Damage):
        raise Malformed(key)
    return key


def read(text: str, prefix: Prefix = "") -> Key | Damage:
    """As `parse`, for callers that are sent much text that is no token: returns the damage."""
    match = _SHAPE.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        is_id = len(text) <= LONGEST and _ID_ALONE.fullmatch(text)
        return Damage.TRUNCATED if is_id else Damage.SHAPE
    token_id, secret = int(match[1]), match[2]
    if token_id > _HIGHEST_ID:
        return Damage.SHAPE
    if match[3] != checksum(token_id, secret, prefix):
        return Damage.CHECKSUM
    return Key(token_id, secret, prefix)


def id_of(text: str, prefix: Prefix = "") -> int | None:
    """The id of a whole token's text; None for any other text."""
    key = read(text, prefix)
    return None if isinstance(key, Damage) else key.id


def id_of_verifier(text: str) -> int | None:
    """The id of a whole verifier key's text; None for any other text."""
    return id_of(text[len(VERIFIER) :], VERIFIER) if text.startswith(VERIFIER) else None


def checksum(token_id: int, secret: str, prefix: Prefix = "") -> str:
    """CRC-32 of id and secret in 8 hexadecimal digits, whatever the separator."""
    return f"{zlib.crc32(f'{prefix}{token_id}:{secret}'.encode()):08x}"


def digest(key: Key, pepper: bytes) -> bytes:
    """The stored digest: HMAC-SHA-256 under the pepper, 32 bytes. The id is in it, so that a digest
    moved to another row fits nothing."""
    begun = _begun(pepper).copy()
    begun.update(f"{key.prefix}{key.id}:{key.secret}".encode())
    return begun.digest()


@lru_cache(maxsize=32)
def _begun(pepper: bytes) -> hmac.HMAC:
    """The pepper is read once. `hmac.digest` would read it each time, which takes a third longer
    (measured), and lets go of the interpreter, which other threads then wake up for."""
    return hmac.new(pepper, digestmod=sha256)


def matches(key: Key, *, stored: bytes, pepper: bytes) -> bool:
    """True if `stored` is the digest of this key; takes the same time either way."""
    return hmac.compare_digest(digest(key, pepper), stored)


def fingerprint(text: str) -> bytes:
    """32 bytes, the same for the same text only, under a key that is drawn when the process starts.
    By it a text is known again that was taken apart and compared before, for a fifth of the time
    and with no secret kept."""
    begun = _BEGUN_FINGERPRINT.copy()
    begun.update(text.encode("utf-8", "surrogatepass"))
    return begun.digest()


def extract_id(text: str) -> int:
    """The id that the text begins with if it is a token, without a look at the rest of it; else
    anything. Only for text of limited length, and for callers that compare all of it afterwards."""
    try:
        return int(text[:-_AFTER_ID])
    except ValueError:
        return 0


def id_within(text: str) -> str:
    """The id of the first token, whole or cut, that stands somewhere in the text; empty if none
    does."""
    found = _WITH_ID.search(text)
    return found[1] if found else ""


def redact(text: str) -> str:
    """The text with an ellipsis in place of every token's secret, be it whole, cut, in pieces or in
    Base64."""
    whole = _IN_PIECES.sub(_joined, text)
    return _IN_BASE64.sub("…", _ANYWHERE.sub(r"\1…", whole))


def _joined(found: re.Match[str]) -> str:
    """The pieces that are a secret together, in one; the others as they stand."""
    parts = re.split(r"(\s+)", found[0])
    for first in range(0, len(parts), 2):
        for end in range(first + 3, len(parts) + 1, 2):
            secret = "".join(parts[first:end:2])
            if len(secret) == _SECRET_DIGITS:
                return "".join([*parts[:first], secret, *parts[end:]])
    return found[0]

"""Encrypts files in the format of age (age-encryption.org), which others can decrypt without us.

With a passphrase each backup has a key of its own, which is encrypted with the passphrase: files of
any size are encrypted as they are read.
"""

import base64
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyrage
from django.views.decorators.debug import sensitive_variables

from operations.backups.archive import BackupError, create

SUFFIX = ".age"
SHORTEST = 12
"""Characters of a passphrase."""
TOO_MUCH_WORK = "Excessive work"
"""How age begins to say that a passphrase costs more than it takes upon itself."""
TRIES, PAUSE = 20, 0.5
"""Of a passphrase on a machine that seems too slow, and seconds between them."""


class Lock(NamedTuple):
    """Who can open the files, and the key that only the passphrase opens (with one)."""

    recipients: list[pyrage.x25519.Recipient]
    wrapped_key: str = ""


@sensitive_variables()
def lock_for(*, passphrase: str = "", recipients: Sequence[str] = ()) -> Lock | None:
    """None if nothing is to be encrypted. Raises `BackupError`."""
    if passphrase and recipients:
        raise BackupError("Encrypt with a passphrase or for recipients of age, not both.")
    if recipients:
        try:
            return Lock([pyrage.x25519.Recipient.from_str(each) for each in recipients])
        except pyrage.RecipientError:
            raise BackupError(
                "A recipient of age looks like age1… (age-keygen -y says it)."
            ) from None
    if not passphrase:
        return None
    if len(passphrase) < SHORTEST:
        raise BackupError(f"The passphrase must have {SHORTEST} characters or more.")
    key = pyrage.x25519.Identity.generate()
    wrapped = pyrage.passphrase.encrypt(str(key).encode(), passphrase)
    return Lock([key.to_public()], base64.b64encode(wrapped).decode())


@sensitive_variables()
def encrypted(content: bytes, lock: Lock) -> bytes:
    result: bytes = pyrage.encrypt(content, lock.recipients)
    return result


def encrypt(path: Path, lock: Lock) -> Path:
    """Encrypt a file into one with another name, and delete it."""
    encrypted = path.with_name(path.name + SUFFIX)
    with path.open("rb") as source, create(encrypted) as target:
        pyrage.encrypt_io(source, target, lock.recipients)
        target.flush()
        os.fsync(target.fileno())
    path.unlink()
    return encrypted


@sensitive_variables()
def identities_for(
    *, wrapped_key: str, passphrase: str = "", identity: str = ""
) -> list[pyrage.x25519.Identity]:
    """What opens a backup. Raises `BackupError`."""
    try:
        if wrapped_key:
            if not passphrase:
                raise BackupError("It is encrypted: name the file of its passphrase.")
            identity = _unwrapped(base64.b64decode(wrapped_key), passphrase).decode()
        lines = [line for line in identity.splitlines() if line.startswith("AGE-SECRET-KEY-")]
        if not lines:
            raise BackupError("It is encrypted: name the file of an identity of age.")
        return [pyrage.x25519.Identity.from_str(line.strip()) for line in lines]
    except (pyrage.DecryptError, pyrage.IdentityError):
        raise BackupError("The passphrase or the identity is wrong.") from None


@sensitive_variables()
def _unwrapped(wrapped: bytes, passphrase: str) -> bytes:
    """What the passphrase opens. A passphrase costs about a second of the machine that has made the
    backup, and age opens none that would cost sixteen of this one, which it measures for a moment:
    a busy machine seems slow. Raises `BackupError` and `pyrage.DecryptError`."""
    for _each in range(TRIES):
        try:
            opened: bytes = pyrage.passphrase.decrypt(wrapped, passphrase)
        except pyrage.DecryptError as error:
            if TOO_MUCH_WORK not in str(error):
                raise
            time.sleep(PAUSE)
        else:
            return opened
    raise BackupError(
        "It was encrypted on a machine that is much faster than this one is right now: try again "
        "when this one has less to do, or on a faster one."
    )


def decrypt(path: Path, target: Path, identities: Sequence[pyrage.x25519.Identity]) -> None:
    """Raises `BackupError`."""
    try:
        with path.open("rb") as source, create(target) as opened:
            pyrage.decrypt_io(source, opened, list(identities))
    except pyrage.DecryptError:
        target.unlink(missing_ok=True)
        raise BackupError(f"{path} can't be opened with this passphrase or identity.") from None
    except OSError as error:
        raise BackupError(f"Nothing was restored: {error.strerror or error}.") from None

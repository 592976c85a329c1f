"""Secrets that are generated on first start, in files that only their owner can read."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

SHORTEST_TOKEN = 16


class NoRoom(ImproperlyConfigured):
    """The disk has no room for a secret that is made on first start: no setting is wrong."""


def disk_full(folder: Path) -> str:
    return f"There is no room left on the disk of DATA_DIR {folder}. Make room, then start again."


def data_folder(path: Path | str, *, name: str = "DATA_DIR") -> Path:
    """The folder that everything is written to. It need not exist yet. `name` is the variable that
    it comes from."""
    try:
        _refuse_slip(str(path))
        folder = Path(path).expanduser().resolve()
        nearest = next(each for each in (folder, *folder.parents) if each.exists())
        is_something_else = not nearest.is_dir()
    except (OSError, RuntimeError, ValueError):
        is_something_else = True
    if is_something_else:
        raise ImproperlyConfigured(f"{name} must be a folder, and {str(path)!r} cannot be one.")
    return folder


def _refuse_slip(path: str) -> None:
    """Raise `ValueError` for a quote or a line break that a file of variables was to take away: a
    folder of this name would be made, and with a container it would be gone."""
    if path.startswith(('"', "'")) or any(each < " " for each in path):
        raise ValueError


def parse_secret(text: str) -> str:
    """Check `SECRET_KEY`: blanks alone are none that was meant."""
    if text and not text.strip():
        raise ImproperlyConfigured("SECRET_KEY must not be blank.")
    return text


def parse_metrics_token(text: str) -> str:
    """Check `METRICS_TOKEN`: it goes into a header, and strangers may try to guess it."""
    is_good = len(text) >= SHORTEST_TOKEN and text.isascii() and text.isprintable()
    if text and not (is_good and text == text.strip()):
        raise ImproperlyConfigured(
            f"METRICS_TOKEN must have {SHORTEST_TOKEN} characters of ASCII or more, and no blank "
            "before or behind them. Make one with: openssl rand -hex 32"
        )
    return text


def parse_fallbacks(text: str) -> list[str]:
    """The keys in a list with commas, or one in each line. A key may begin or end with a space, and
    one that is alone may have a comma: so all readings count, of which only the right one verifies
    anything."""
    items = [*text.split(","), *text.splitlines(), *text.replace("\n", ",").split(",")]
    readings = [*items, *(item.strip() for item in items), text]
    return list(dict.fromkeys(each for each in readings if each.strip()))


def read_secret(path: Path, *, prefix: str = "") -> str:
    """As `read_or_make`, for settings: what cannot be is refused in a sentence."""
    try:
        secret = read_or_make(path, prefix=prefix)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom(disk_full(path.parent)) from None
        raise ImproperlyConfigured(
            f"DATA_DIR must have secrets that can be read and written: {path} ({error})."
        ) from None
    if not secret:
        raise ImproperlyConfigured(f"DATA_DIR must hold a secret in {path.name}, which is empty.")
    return secret


def read_or_make(path: Path, *, prefix: str = "") -> str:
    """Return the secret kept in `path`; on first start make one (64 hex digits after `prefix`).

    The file has mode 0600. Several processes may start at once: a hard link appears whole or not at
    all, so exactly one of them names the secret and the others read it.
    """
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{prefix}{secrets.token_hex(32)}\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_text().strip()

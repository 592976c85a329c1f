"""Finds the text of a variable: in the environment, or for secrets in a file that it names.

A secret in the environment is seen by every child process, and by all who may look at it there. So
each secret may stand in a file instead, which `SECRET_KEY_FILE` names (as of Compose and
Kubernetes), or in a credential of systemd by the name `secret_key` or `SECRET_KEY`.
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config.env.variables import CREDENTIALS, MAY_BE_EMPTY, SECRETS

LARGEST = 64 * 1024
"""Bytes. What is larger is no secret, but a file that was named by mistake."""


def given(name: str) -> str:
    """The text that the variable has; empty for none. A line break at the end of a file is not part
    of it. Raises `ImproperlyConfigured` for a secret that is given twice, or whose file is no good;
    the sentence says nothing of what is in it."""
    sources = _sources(name)
    if len(sources) > 1:
        first, second, *_ = sources
        raise ImproperlyConfigured(
            f"{name} must be given once, and is by {first} and by {second}: leave one out."
        )
    for source, path in sources.items():
        return os.environ[name] if path is None else _read(name, source, path)
    return ""


def is_given(name: str) -> bool:
    """True if the variable has a text, or a file is to have it."""
    return bool(_sources(name))


def _sources(name: str) -> dict[str, Path | None]:
    """What gives the variable, in words, and the file that it stands in."""
    found: dict[str, Path | None] = {}
    if os.environ.get(name):
        found["the variable itself"] = None
    if name not in SECRETS:
        return found
    if path := os.environ.get(f"{name}_FILE"):
        found[f"{name}_FILE"] = Path(path)
    if folder := os.environ.get(CREDENTIALS):
        for credential in (Path(folder, name.lower()), Path(folder, name)):
            if credential.exists():
                found[f"the credential {credential.name}"] = credential
    if name in MAY_BE_EMPTY:
        return {it: path for it, path in found.items() if path is None or not _is_empty(path)}
    return found


def _is_empty(path: Path) -> bool:
    """False also for a file that cannot be read: why not is told when it is."""
    try:
        with path.open("rb") as file:
            return not file.read(LARGEST).strip()
    except OSError:
        return False


def _read(name: str, source: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        text = content.decode("utf-8-sig").rstrip("\r\n")  # some editors put a mark before it
    except OSError as error:
        raise _refusal(name, source, path, error.strerror or "it can't be read") from None
    except ValueError:
        raise _refusal(name, source, path, "it is no text in UTF-8") from None
    if not text or len(content) > LARGEST:
        raise _refusal(name, source, path, "it is empty" if not text else "it is too large")
    return text


def _refusal(name: str, source: str, path: Path, reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{name} must be in the file {path}, which {source} names, and can't be read from it "
        f"({reason})."
    )

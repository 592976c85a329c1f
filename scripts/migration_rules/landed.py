"""Which migrations have landed: they have run somewhere, and stay as they are."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LANDED = ROOT / "scripts" / "landed-migrations.sha256"
"""As `sha256sum` writes it."""
LINE_OF_HISTORY = re.compile(r"^\+([0-9a-f]{64})  (\S+)$", re.MULTILINE)
NEVER_RAN_FOR_USERS = {
    "12694422266a99e62437b8b7e8680aa3a979ba1eb233cffaffa4ddc377ca2072",
    "6f53a122da29c7855ba0df459b34abca167d16f6f5ec0c16bfe09dc73d98b5c9",
    "8ac9c2ce939a812f98899490f9ff0d98f810020e306fa726c15196e0d34276dd",
    "957c35f97396f2c7ae5a515e3b774153e354977ae4a0f946e8291fda3f967402",
    "b0341907f1c6f2912745117220f72778fcd8e2cc7d9e3c8a334c4a9ed62ad1c8",
    "d76da0b6d3ca4c796cf77b8a77b2db394ffb8bb824f30b2ac6d1f4e79ebe0bee",
    "dad45fc12db15cdf4d2f184c0793f1b497eced20b68f5189e2b6e760d73e22e5",
    "f160a9eccc951bfb677234bdf819e00c9c44eb2641292636bc1d8e51264b774d",
}
"""Hashes that were listed and changed before the first release: of numbers that two branches had
taken at once, and of a format."""


def landed_migrations() -> dict[str, str]:
    """The hash of each migration that has landed, by its path."""
    return _listed(LANDED.read_text() if LANDED.exists() else "")


def _listed(text: str) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.splitlines())
    return {path: digest for digest, _, path in lines}


def landed_by(release: str) -> dict[str, str] | None:
    """The list as a release had it, at the commit that the CHANGELOG names: `## [0.1.0] -
    2027-01-01 (1155e6af)`. None if it cannot be read."""
    line = rf"^## \[{re.escape(release)}\].*\(([0-9a-f]{{7,40}})\)$"
    commit = re.search(line, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    told = _git("show", f"{commit[1]}:{LANDED.relative_to(ROOT)}") if commit else ""
    return _listed(told) if told else None


def _git(*words: str) -> str:
    """What Git says; nothing without a history."""
    command = ["git", *words]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return told.stdout


def present_migrations() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in ROOT.glob("*/migrations/[!_~]*.py")
    }


def releases() -> list[str]:
    """The versions that the CHANGELOG has."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)


def edited(landed: dict[str, str], present: dict[str, str]) -> Iterator[str]:
    for path, digest in landed.items():
        if path not in present:
            yield f"{path} has landed, and is gone: databases know it by this name. Bring it back."
        elif present[path] != digest:
            yield f"{path} has landed, and was edited: it has run somewhere. Write a new migration."


def unlisted(landed: dict[str, str]) -> Iterator[str]:
    """What the list once had, as Git tells, and has no more, or with another hash: an edit of a
    migration and of its line, together. Without a history there is nothing to compare."""
    told = _git("log", "-p", "--format=", "--", str(LANDED.relative_to(ROOT)))
    listed = dict.fromkeys(LINE_OF_HISTORY.findall(told))
    for digest, path in listed:
        if landed.get(path) != digest and digest not in NEVER_RAN_FOR_USERS:
            yield (
                f"{path} was listed as landed with the hash {digest[:12]}…, and its line has "
                f"changed since: it has run somewhere. Bring it back, and write a new migration."
            )

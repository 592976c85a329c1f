"""Compares the requirements in `.in` files with the pins in `.txt` files, without a registry."""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

COMPILED = (
    "requirements",
    "requirements-dev",
    "requirements-extras",
    "requirements-older-client",
    "benchmarks/requirements",
)
INCLUDING = ("requirements-dev", "benchmarks/requirements")
"""These include requirements.txt, in the same versions."""

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_CAUSE = re.compile(r"^    # (?:via)?\s+-r (\S+)$")


def mismatches(root: Path) -> list[str]:
    """A sentence for each mismatch."""
    found = [each for name in COMPILED for each in _compare(root, name)]
    run = _pins((root / "requirements.txt").read_text())
    for including in INCLUDING:
        pins = _pins((root / f"{including}.txt").read_text())
        found += [
            f"{including}.txt does not pin {name}=={version} as requirements.txt does."
            for name, version in run.items()
            if pins.get(name) != version
        ]
    return [*found, "Run: make requirements"] if found else []


def _compare(root: Path, name: str) -> Iterator[str]:
    source, compiled = root / f"{name}.in", root / f"{name}.txt"
    wanted = {canonicalize_name(each.name): each for each in _requirements(source.read_text())}
    pins = _pins(compiled.read_text())
    for package, requirement in wanted.items():
        version = pins.get(package)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield f"{source.name} asks for {requirement}; {version or 'nothing'} is pinned."
    for forgotten in _pinned_for(f"{name}.in", compiled.read_text()) - wanted.keys():
        yield f"{compiled.name} pins {forgotten}, which {source.name} does not ask for any more."
    if "--hash=" not in compiled.read_text():
        yield f"{compiled.name} has no hashes."


def _requirements(text: str) -> Iterator[Requirement]:
    for line in text.splitlines():
        wanted = line.partition("#")[0].strip()
        if wanted and not wanted.startswith("-"):
            yield Requirement(wanted)


def _pins(text: str) -> dict[str, str]:
    matches = filter(None, map(_PIN.match, text.splitlines()))
    return {canonicalize_name(match[1]): match[2] for match in matches}


def _pinned_for(cause: str, compiled: str) -> set[str]:
    """The packages that are pinned because this file requires them, by their comments."""
    names: set[str] = set()
    name = ""
    for line in compiled.splitlines():
        if pin := _PIN.match(line):
            name = str(canonicalize_name(pin[1]))
        elif (because := _CAUSE.match(line)) and because[1] == cause:
            names.add(name)
    return names

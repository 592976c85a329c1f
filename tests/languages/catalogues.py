"""Reads the catalogues in both their forms, with Python alone: GNU gettext is for translators."""

import ast
import re
import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
LOCALES = sorted(folder.parent.name for folder in ROOT.glob("locale/*/LC_MESSAGES"))

_MAGIC = 0x950412DE
_LINE = re.compile(r'^(?:(msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?) )?(".*")$')


class Entry(NamedTuple):
    """A source string and what it is called in one language; several texts if it has a plural."""

    context: str
    source: str
    plural: str
    texts: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What gettext looks the entry up by."""
        return self.context, self.source


def path_of(locale: str, suffix: str) -> Path:
    return ROOT / "locale" / locale / "LC_MESSAGES" / f"django{suffix}"


@cache
def entries(locale: str) -> list[Entry]:
    """The entries of a catalogue as its translator sees them, without the header."""
    return [entry for entry in _blocks(path_of(locale, ".po").read_text()) if entry.source]


@cache
def header(locale: str) -> str:
    return next(
        entry.texts[0]
        for entry in _blocks(path_of(locale, ".po").read_text())
        if not entry.source and entry.texts
    )


def compiled(locale: str) -> dict[str, str]:
    """The catalogue as the portal reads it: the file format of gettext, whole."""
    data = path_of(locale, ".mo").read_bytes()
    magic, _revision, number, sources_at, texts_at = struct.unpack_from("<5I", data)
    assert magic == _MAGIC

    def text(table: int, index: int) -> str:
        length, start = struct.unpack_from("<2I", data, table + 8 * index)
        return data[start : start + length].decode()

    return {text(sources_at, index): text(texts_at, index) for index in range(number)}


def as_compiled(locale: str) -> dict[str, str]:
    """What the compiled catalogue has to hold, from the translator's one.

    Compiling drops the time at which the strings were collected.
    """
    lines = header(locale).splitlines(keepends=True)
    pairs = {"": "".join(line for line in lines if not line.startswith("POT-Creation-Date"))}
    for entry in entries(locale):
        source = f"{entry.context}\x04{entry.source}" if entry.context else entry.source
        pairs[f"{source}\0{entry.plural}" if entry.plural else source] = "\0".join(entry.texts)
    return pairs


def _blocks(text: str) -> list[Entry]:
    return [_entry(block) for block in re.split(r"\n{2,}", text.strip())]


def _entry(block: str) -> Entry:
    fields: dict[str, str] = {}
    flags: list[str] = []
    name = ""
    for line in block.splitlines():
        if line.startswith("#,"):
            flags += line[2:].replace(" ", "").split(",")
        if line.startswith("#"):
            continue
        found = _LINE.match(line)
        assert found, f"not a line of a catalogue: {line}"
        name = found[1] or name
        fields[name] = fields.get(name, "") + str(ast.literal_eval(found[2]))
    return Entry(
        context=fields.get("msgctxt", ""),
        source=fields.get("msgid", ""),
        plural=fields.get("msgid_plural", ""),
        texts=tuple(text for name, text in fields.items() if name.startswith("msgstr")),
        flags=tuple(flags),
    )

"""Finds every string that the code asks gettext for: in Python by its syntax, in templates by
Django's own reading of them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.utils.translation.template import templatize

from tests.languages.catalogues import ROOT

NOT_OURS = {"var", "tests", "node_modules"}
MODULE = "django.utils.translation"
ARGUMENTS = {
    "gettext": ("source",),
    "gettext_lazy": ("source",),
    "gettext_noop": ("source",),
    "pgettext": ("context", "source"),
    "pgettext_lazy": ("context", "source"),
    "ngettext": ("source", "plural"),
    "ngettext_lazy": ("source", "plural"),
    "npgettext": ("context", "source", "plural"),
    "npgettext_lazy": ("context", "source", "plural"),
}
_LITERAL = r"""u?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_CALL_IN_TEMPLATE = re.compile(rf"(?<!\w)(_|n?p?gettext)\(({_LITERAL}(?:\s*,\s*{_LITERAL})*)")


class Source(NamedTuple):
    """One call: what it asks for, and where it stands."""

    context: str
    source: str
    plural: str
    place: str

    @property
    def key(self) -> tuple[str, str]:
        return self.context, self.source


@cache
def all_sources() -> list[Source]:
    """Every call in our Python files and templates."""
    python = (found for path in _files("*.py") for found in in_python(path.read_text(), path.name))
    templates = (
        found
        for pattern in ("templates/**/*.html", "templates/**/*.txt")
        for path in sorted(ROOT.glob(pattern))
        for found in in_template(path.read_text(), path.name)
    )
    return [*python, *templates]


def in_python(code: str, place: str) -> Iterator[Source]:
    """The calls in a module, under whatever names it imports the functions."""
    tree = ast.parse(code)
    names = _imported_names(tree)
    for node in ast.walk(tree):
        function = _called(node, names)
        if function:
            assert isinstance(node, ast.Call)
            yield _source(function, _literals(node, place), place)


def in_template(text: str, place: str) -> Iterator[Source]:
    for found in _CALL_IN_TEMPLATE.finditer(templatize(text)):
        function = "gettext" if found[1] == "_" else found[1]
        yield _source(function, list(ast.literal_eval(f"({found[2]},)")), place)


def _files(pattern: str) -> list[Path]:
    def is_ours(path: Path) -> bool:
        return not any(
            part in NOT_OURS or part.startswith(".") for part in path.relative_to(ROOT).parts
        )

    tops = [top for top in ROOT.iterdir() if top.is_dir() and is_ours(top)]
    return sorted(path for top in tops for path in top.rglob(pattern))


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """What the module calls each function of gettext."""
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == MODULE
        for alias in node.names
        if alias.name in ARGUMENTS
    }


def _called(node: ast.AST, names: dict[str, str]) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return names.get(name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="translation"), attr=name)):
            return name if name in ARGUMENTS else None
    return None


def _literals(call: ast.Call, place: str) -> list[str]:
    literals = []
    for argument in call.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            literals.append(argument.value)
        else:
            assert literals, f"{place}, line {call.lineno}: gettext cannot find what is computed"
            break
    return literals


def _source(function: str, literals: list[str], place: str) -> Source:
    named = dict(zip(ARGUMENTS[function], literals, strict=False))
    assert set(named) == set(ARGUMENTS[function]), f"{place}: {function} with too few strings"
    return Source(named.get("context", ""), named["source"], named.get("plural", ""), place)

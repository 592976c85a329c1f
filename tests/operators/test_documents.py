"""What the documents say must be so."""

import re
import runpy
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from config.env.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)|src(?:set)?=\"([^\":]+)\"")
SIGNPOSTS = {"createsuperuser"}
"""Commands that do nothing but name another one."""
APPS = (
    "config",
    "operations",
    "apitokens",
    "sso",
    "accounts",
    "notifications",
    "upgrades",
    "telemetry",
)
COMMAND = re.compile(r"manage\.py ([a-z_]+)\b([^`\n|]*)")
NAMED_FILE = re.compile(rf"`((?:{'|'.join(APPS)}|templates|static|tests)/[\w/.-]+(?:\.\w+|/))`")
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_readme_lists_every_variable_and_no_other() -> None:
    table = README.partition("### Settings")[2].partition("### Two shapes")[0]
    listed = re.findall(r"`([A-Z_]+)`", "".join(row.split("|")[1] for row in _rows(table)))

    assert sorted(listed) == sorted(VARIABLES)


def test_readme_lists_every_command_of_ours() -> None:
    commands = {
        file.stem for app in APPS for file in (ROOT / app).glob("management/commands/[a-z]*.py")
    }

    listed = set(re.findall(r"^\| `manage\.py (\w+)", README, re.MULTILINE))

    assert listed == commands - SIGNPOSTS


def test_commands_are_shown_with_words_that_they_know() -> None:
    """Also in sentences and tables, which no test can run."""
    shown = [line for document in DOCUMENTS for line in COMMAND.findall(document.read_text())]
    options = {
        name: set(
            load_command_class(get_commands()[name], name)
            .create_parser("", name)
            ._option_string_actions
        )
        for name in {name for name, _words in shown}
    }

    unknown = [
        (name, word)
        for name, words in shown
        for word in re.findall(r"--[a-z-]+", words)
        if word not in options[name]
    ]

    assert len(options) > 10
    assert unknown == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = [first or second for first, second in LINK.findall(document.read_text())]

    assert [each for each in targets if not (document.parent / each).exists()] == []


def test_every_decision_is_in_the_list() -> None:
    pages = {file.name for file in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}

    listed = re.findall(r"\]\(([^)]+)\)", (ROOT / "docs" / "decisions" / "README.md").read_text())

    assert set(listed) == pages


def test_make_targets_named_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(makefile.partition(".PHONY:")[2].splitlines()[0].split())

    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }

    assert named <= phony


def test_drawn_map_shows_every_folder_and_module_and_no_other() -> None:
    picture = (ROOT / "docs" / "images" / "architecture.svg").read_text()
    drawn = re.findall(r'class="(?:app|chip)"[^>]*>([^<]+)<', picture)

    assert sorted(drawn) == sorted([*APPS, *(name for app in APPS for name in _children(app))])
    assert picture == runpy.run_path(str(ROOT / "scripts" / "map.py"))["drawn"](), "run: make map"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_files_named_in_the_documents_exist(document: Path) -> None:
    """Not in the changelog, which tells of files that were."""
    named = NAMED_FILE.findall(document.read_text())

    assert document.name == "CHANGELOG.md" or [e for e in named if not (ROOT / e).exists()] == []


def _children(app: str) -> list[str]:
    return [
        path.stem
        for path in (ROOT / app).iterdir()
        if (path / "__init__.py").exists() or path.suffix == ".py"
        if path.stem not in ("__init__", "migrations")
    ]


def _rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]

"""What blocks of commands name is there: also in those that run nowhere."""

import contextlib
import re
import shlex
import subprocess
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from config.env.variables import FILES, VARIABLES
from tests.documentation.blocks import PLACES, ROOT, NotHere, blocks, place_of

SHELLS = ("sh", "bash", "console", "shell-session")
OF_OTHERS = {
    "RENEWED_LINEAGE",  # of certbot, for its hooks
    "PERMATOKEN_USER",
    "PORTAL",
    "PGAPPNAME",
    "API",
    "TOKEN",
    "WEAK",
    "ENTITY_ID",
    "SIMPLESAMLPHP_CONFIG_DIR",
}
"""Names that blocks give to their own use, or that other programs know."""
OURS = ("manage.py", "manage")
STARTERS = ("permatoken", "permatoken-run")
UNITS = ROOT / "deploy" / "systemd"
REDIRECTIONS = ("<", ">", ">/", "2>", ">>")
PARTS = ("web", "worker", "beat", "migrate", "manage", "probe")
"""What `deploy/permatoken` starts."""
TYPED = [each for each in blocks() if each.language in SHELLS]
NOWHERE = [each for each in blocks() if isinstance(PLACES[place_of(each) or ""], NotHere)]


def test_shell_can_read_all_of_them() -> None:
    for block in TYPED:
        done = subprocess.run(
            ["bash", "-n"], input=block.commands, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), block.key


def test_what_they_name_is_there() -> None:
    found = {block.key[:60]: list(troubles(block.commands)) for block in TYPED}
    assert {key: said for key, said in found.items() if said} == {}


@pytest.mark.parametrize(
    "command",
    [
        "make prepare-rum",
        "python3 examples/nginx/gone.py",
        "cp deploy/systemd/*.gone /etc/systemd/system/",
        ".venv/bin/python manage.py create_acount 'My Company'",
        ".venv/bin/python manage.py create_account 'My Company' --admin maria@example.com",
        "permatoken-run manage docter",
        "permatoken-run manage backup --keep soon",
        "docker compose exec web-1 permatoken manage docter",
        "deploy/permatoken wed",
        "/opt/permatoken/deploy/permatoken prob web",
        "systemctl enable --now permatoken-wep@8000",
        "systemctl enable --now permatoken-beat.timer",
        "for part in web@8000; do systemctl restart permatoken-$part; deploy/systemd/gone; done",
        "export TRUSTED_PROXY=127.0.0.1",
        "REDIS_URI=redis://… make run",
    ],
)
def test_misspelled_name_is_seen(command: str) -> None:
    assert list(troubles(command))


def test_blocks_that_run_nowhere_are_commands_and_few() -> None:
    assert {each.language for each in NOWHERE} <= set(SHELLS)
    assert len(NOWHERE) <= 7


def test_packages_for_single_sign_on_are_those_that_ci_installs() -> None:
    (block,) = (each for each in NOWHERE if each.page == "docs/single-sign-on.md")
    _before, _install, packages = block.text.partition("--no-install-recommends")

    ci = set(re.findall(r"[a-z-]+", (ROOT / ".ci" / "run").read_text()))
    assert packages.split()
    assert set(packages.split()) <= ci


def test_packages_that_tests_ask_for_are_those_that_ci_installs() -> None:
    """There a missing one fails a test; elsewhere it is skipped. (tests.conftest.give_up)"""
    files = [file.read_text() for file in (ROOT / "tests").rglob("*.py")]
    asked = {
        name
        for text in files
        for names in re.findall(r"apt-get install((?: [a-z][a-z0-9-]+)+)", text)
        for name in names.split()
    }

    ci = set(re.findall(r"[a-z0-9-]+", (ROOT / ".ci" / "run").read_text()))
    assert {"docker-compose", "nginx-light"} <= asked
    assert asked - ci == set()
    assert not [text for text in files if re.search(r"pytest\.skip\([^)]*apt-get", text)]


def troubles(script: str) -> Iterator[str]:
    """What is named and not there: targets of make, files, commands, their options, settings."""
    for words in commands_in(script):
        given = list(_assignments(words))
        for name in (each.partition("=")[0] for each in given):
            if name.isupper() and name not in {*VARIABLES, *FILES, *OF_OTHERS}:
                yield f"no setting is called {name}"
        for word in words:
            yield from _file(word)
            yield from _unit(word)
        yield from _called([each for each in words if each not in (*given, "export", "exec")])


def commands_in(script: str) -> Iterator[list[str]]:
    """The words of each command; of those in $(…), too."""
    whole = script.replace("\\\n", " ")
    inner = re.findall(r"\$\(([^()]*)\)", whole)
    for line in (*re.sub(r"\$\([^()]*\)", "x", whole).splitlines(), *inner):
        with contextlib.suppress(ValueError):  # a quote that goes on, as in a file that is written
            yield from _split(line)


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();&|")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("();&|") or word in ("{", "}", "do", "then", "until", "for", "while"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def _assignments(words: list[str]) -> Iterator[str]:
    """Those that stand before a command, or are exported."""
    for word in words[1:] if words[:1] == ["export"] else words:
        if not re.match(r"[A-Za-z_]+=", word):
            return
        yield word


def _file(word: str) -> Iterator[str]:
    path = re.sub(r"^(\./|\$PWD/|/opt/permatoken(-\d)?/)", "", word)
    first, slash, _rest = path.partition("/")
    is_ours = slash and first in ("deploy", "docs", "examples", "scripts", "tests", "clients")
    if is_ours and not any(ROOT.glob(path.rstrip("/"))):
        yield f"there is no {path}"


def _unit(word: str) -> Iterator[str]:
    found = re.fullmatch(r"(permatoken-(?!run)[a-z]+)(?:(@)\w+)?(\.timer)?", word)
    if found and not (UNITS / f"{found[1]}{found[2] or ''}{found[3] or '.service'}").exists():
        yield f"there is no unit {word}"


def _called(words: list[str]) -> Iterator[str]:
    match words:
        case ["make", *targets]:
            rules = re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            known = " ".join(rules).split()
            yield from (
                f"make knows no {each}" for each in targets if "=" not in each and each not in known
            )
        case ["docker", "compose", "exec", _service, *inside]:
            yield from _called(inside)
        case [program, part, *_more] if Path(program).name in STARTERS and part not in PARTS:
            yield f"{program} knows no {part}"
    for place, word in enumerate(words):
        if word in OURS and words[place + 1 :]:
            yield from _command(words[place + 1], words[place + 2 :])


def _command(name: str, arguments: list[str]) -> Iterator[str]:
    apps = get_commands()
    if name not in apps:
        yield f"manage.py knows no {name}"
        return
    app = apps[name]
    command = load_command_class(app, name) if isinstance(app, str) else app
    parser: ArgumentParser = command.create_parser("manage.py", name)
    parser.allow_abbrev = False
    until = next((at for at, each in enumerate(arguments) if each[:2] in REDIRECTIONS), None)
    values = [re.sub(r"\$\{[^}]*\}", "1", each) for each in arguments[:until]]
    try:
        parser.parse_args(values)
    except CommandError as refusal:
        yield f"{name}: {refusal}"

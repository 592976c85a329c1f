"""deploy/Containerfile, without building it."""

import re

from config.logs.extras import INSTALL
from tests.portal import ROOT

TEXT = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
LET_IN = {
    line.removeprefix("!")
    for line in (ROOT / ".dockerignore").read_text().splitlines()
    if line.startswith("!")
}


def test_files_that_it_copies_are_let_in() -> None:
    copied = {
        name
        for names in re.findall(r"^COPY (?!--from)(.+) \./$", TEXT, re.MULTILINE)
        for name in names.split()
    }

    assert {"requirements.txt", "requirements-extras.txt"} <= copied
    assert copied - {"."} <= LET_IN
    assert [name for name in LET_IN if not (ROOT / name).exists()] == []


def test_packages_are_wheels_that_have_the_right_hashes() -> None:
    installs = re.findall(r"pip install (.*?)(?:&&|$)", TEXT, re.MULTILINE)

    assert installs
    assert all("--require-hashes --only-binary :all:" in each for each in installs)


def test_extras_come_with_the_argument_that_the_refusal_names() -> None:
    (argument,) = re.findall(r"--build-arg (\w+)=1", INSTALL)

    assert f'ARG {argument}=""' in TEXT
    assert f"${{{argument}:+-r requirements-extras.txt}}" in TEXT

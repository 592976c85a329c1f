"""`permatoken probe`: of a container, of what it was started for."""

import pytest

from config.command_line import probe
from config.launcher import servers
from config.launcher.preflight import WrongSetting

PYTHON = "/opt/permatoken/.venv/bin/python"


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (servers.web(host="0.0.0.0", port=8000, workers=2, threads=16), "web"),
        ([*servers.worker(), "--hostname", "worker-2@%h"], "worker"),
        (servers.beat(), "beat"),
        ([PYTHON, "-P", "-m", "config.command_line", "worker"], "worker"),
        (["/sbin/docker-init", "--", "permatoken", "web"], "web"),
        ([PYTHON, "/opt/permatoken/manage.py", "doctor"], None),
        (["permatoken", "manage", "worker"], None),
        (["permatoken", "migrate"], None),
        ([], None),
    ],
)
def test_role_is_that_of_the_first_process(command: list[str], role: str | None) -> None:
    assert probe.role_of(command) == role


@pytest.mark.parametrize(
    ("words", "code"), [(["pages"], 2), (["web", "worker"], 2), (["manage"], 2)]
)
def test_what_is_no_role_is_refused(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe.main(words) == code
    assert capsys.readouterr().err == "Say which: permatoken probe web, worker or beat\n"


def test_port_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")

    with pytest.raises(WrongSetting, match="PORT must be a number from 1 to 65535"):
        probe.main(["web"])


def test_container_of_a_command_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "_first_process", lambda: ["permatoken", "manage", "doctor"])

    assert probe.main([]) == 0


def test_web_that_does_not_answer_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "_first_process", lambda: ["permatoken", "web"])
    monkeypatch.setenv("PORT", "1")

    assert probe.main([]) == 1
    assert capsys.readouterr().err.startswith("The web server does not answer: ")

"""What keeps the portal from starting is told in one sentence."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.launcher import __main__ as launcher
from config.launcher import preflight
from config.launcher.preflight import NotReady
from tests.launcher.portal import PATIENCE, ROOT, environment_of

SECRET = "swordfish"


def refusal(data_dir: Path, *, port: int, code: int = 1, **environment: str) -> str:
    """Start the portal, expect that it refuses, and return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "config.launcher"],
        cwd=ROOT,
        env=environment_of(data_dir, port=port, **environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert SECRET not in done.stderr
    return done.stderr


def test_port_in_use(data_dir: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        assert refusal(data_dir, port=port).startswith(f"Port {port} is in use. Choose another: ")


def test_port_that_is_none(data_dir: Path) -> None:
    said = refusal(data_dir, port=0, code=2, PORT="http")

    assert said == "PORT must be a number from 1 to 65535, not 'http'.\n"


@pytest.mark.parametrize("wrong", ["http", "0", "65536", "-1", "8000.5", "٨٠٠٠", "9" * 40])
def test_no_port_is_read_from_anything_else(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", wrong)
    with pytest.raises(NotReady) as refused:
        launcher._read_config()
    assert str(refused.value) == f"PORT must be a number from 1 to 65535, not {wrong!r}."


@pytest.mark.parametrize("name", ["WEB_WORKERS", "WEB_THREADS"])
def test_number_that_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "many")
    with pytest.raises(NotReady, match=f"^{name} must be a number"):
        launcher._read_config()


@pytest.mark.parametrize(("wrong", "code"), [("192.0.2.1", 1), ("no such host", 2)])
def test_host_of_another_machine(wrong: str, code: int, data_dir: Path, port: int) -> None:
    """The address may be there a moment later."""
    said = refusal(data_dir, port=port, code=code, HOST=wrong)

    assert said == f"HOST must be an address of this machine, not {wrong!r}.\n"


def code_of(*, host: str, port: int = 8000) -> int:
    """The exit code of a start that cannot listen there."""
    with pytest.raises(NotReady) as refused:
        preflight.check_port(host, port)
    assert len(str(refused.value).splitlines()) == 1
    return refused.value.exit_code


@pytest.mark.parametrize("wrong", ["256.1.1.1", "[::1]", "http://a.example", "a" * 64, "a..b", ""])
def test_host_that_is_no_name_is_a_wrong_setting(wrong: str) -> None:
    assert code_of(host=wrong) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (socket.EAI_NONAME, 2),
        (socket.EAI_NODATA, 2),
        (socket.EAI_FAMILY, 2),
        (socket.EAI_AGAIN, 1),
        (socket.EAI_FAIL, 1),
    ],
)
def test_name_that_nobody_has_is_a_wrong_setting_and_a_resolver_that_fails_is_none(
    fault: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_facts: object, **_more: object) -> None:
        raise socket.gaierror(fault, "Not found")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert code_of(host="lcoalhost") == code


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errno.EACCES, 2),
        (errno.EINVAL, 2),
        (errno.EAFNOSUPPORT, 2),
        (errno.EADDRNOTAVAIL, 1),
        (errno.EADDRINUSE, 1),
        (errno.ENOBUFS, 1),
    ],
)
def test_what_may_pass_by_itself_is_no_wrong_setting(
    fault: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that only root may have never does."""

    def bind(_socket: socket.socket, _address: object) -> None:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(socket.socket, "bind", bind)
    assert code_of(host="127.0.0.1") == code


@pytest.mark.parametrize("below", ["", "deeper/var"])
def test_data_dir_that_is_a_file_or_below_one(below: str, tmp_path: Path, port: int) -> None:
    (tmp_path / "file").touch()

    said = refusal(tmp_path / "file" / below, port=port, code=2)

    assert said.startswith(f"DATA_DIR {tmp_path / 'file' / below} can't be written to (")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_data_dir_in_a_place_that_nobody_can_write_to(port: int) -> None:
    assert refusal(Path("/proc/permatoken"), port=port, code=2).startswith(
        "DATA_DIR /proc/permatoken can't be written to ("
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not stop root")
def test_data_dir_of_somebody_else(tmp_path: Path, port: int) -> None:
    tmp_path.chmod(0o500)

    assert "can't be written to (Permission denied)" in refusal(tmp_path / "var", port=port, code=2)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("DATABASE_URL", f"mysql://user:{SECRET}@localhost/tokens"),
        ("REDIS_URL", f"redis://:{SECRET}@localhost:port/0"),
        ("EMAIL_URL", f"smtp+tls://user:{SECRET}@"),
        ("BASE_URL", "tokens.example.com"),
    ],
)
def test_url_that_cannot_be_read(name: str, wrong: str, data_dir: Path, port: int) -> None:
    assert refusal(data_dir, port=port, code=2, **{name: wrong}).startswith(
        f"{name} must look like "
    )


def test_database_that_does_not_answer(data_dir: Path, port: int) -> None:
    said = refusal(
        data_dir, port=port, DATABASE_URL=f"postgres://user:{SECRET}@127.0.0.1:{port}/tokens"
    )

    assert said.startswith("The database isn't responding: ")
    assert said.endswith("Connection refused. Check DATABASE_URL.\n")


def test_database_file_in_a_folder_that_is_missing(data_dir: Path, port: int) -> None:
    url = "sqlite:////nowhere/tokens.sqlite3"
    said = refusal(data_dir, port=port, code=2, DATABASE_URL=url)

    assert said == (
        "DATABASE_URL must name a file in a folder that exists: there is no folder /nowhere.\n"
    )


def test_database_file_that_cannot_be_opened(data_dir: Path, port: int) -> None:
    said = refusal(data_dir, port=port, DATABASE_URL="sqlite:////proc/tokens.sqlite3")

    assert said.startswith("The database isn't responding: unable to open database file.")


def test_database_file_that_is_none(data_dir: Path, port: int) -> None:
    data_dir.mkdir()
    (data_dir / "permatoken.sqlite3").write_text("These are not the tables you are looking for.")

    assert refusal(data_dir, port=port).startswith(
        "The database isn't responding: file is not a database."
    )


def test_redis_that_does_not_answer(data_dir: Path, port: int) -> None:
    said = refusal(data_dir, port=port, REDIS_URL=f"redis://:{SECRET}@127.0.0.1:{port}/0")

    assert said.startswith("Redis isn't responding: ")


@pytest.mark.parametrize(
    ("name", "wrong"), [("TOKEN_PEPPERS", SECRET), ("TRUSTED_PROXIES", "everybody")]
)
def test_setting_that_cannot_be_used(name: str, wrong: str, data_dir: Path, port: int) -> None:
    said = refusal(data_dir, port=port, code=2, **{name: wrong})

    assert said.startswith(f"The settings can't be used: {name} must be ")

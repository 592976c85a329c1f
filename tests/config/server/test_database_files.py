"""The served portal holds the files of SQLite, so that a full disk keeps nobody from reading."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.portal import ROOT, prepared

ASKED = """
import json, os, sys
from io import BytesIO
from pathlib import Path
from config.wsgi import application
from django.db import connections

environ = {
    "REQUEST_METHOD": "GET", "PATH_INFO": sys.argv[1], "SCRIPT_NAME": "", "QUERY_STRING": "",
    "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost",
    "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http",
    "wsgi.input": BytesIO(), "HTTP_AUTHORIZATION": "APIKey " + sys.argv[2],
}
list(application(environ, lambda *_facts: None))
connections.close_all()
folder = Path("/proc/self/fd")
print(json.dumps([os.readlink(each) for each in folder.iterdir() if each.is_symlink()]))
"""


def held_after(path: str, data_dir: Path) -> list[str]:
    """The files that a process holds after one request, with all connections closed."""
    shutil.copytree(prepared(), data_dir)
    token = (data_dir / "demo.txt").read_text().split("APIKey ")[1].split("'")[0]
    done = subprocess.run(
        [sys.executable, "-c", ASKED, path, token],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "DATA_DIR": str(data_dir), "HOME": str(data_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    files: list[str] = json.loads(done.stdout.splitlines()[-1])
    return [file for file in files if file.startswith(str(data_dir))]


def test_page_leaves_the_database_held(tmp_path: Path) -> None:
    assert any("sqlite3" in file for file in held_after("/sign-in/", tmp_path / "data"))


def test_verification_leaves_the_database_held(tmp_path: Path) -> None:
    assert any("sqlite3" in file for file in held_after("/iam/auth/verify", tmp_path / "data"))

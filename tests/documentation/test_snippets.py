"""Configurations of other programs, as the README prints them, are taken by these programs."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import nginx_path
from tests.documentation.blocks import blocks
from tests.portal import ROOT, free_port

APPENDING = re.compile(
    r"^\s*(proxy_set_header\s+\S+\s+\$proxy_add_x_forwarded_for|option forwardfor)", re.MULTILINE
)
"""In nginx and HAProxy."""
CERTIFICATE = "/etc/ssl/certs/tokens.example.com.pem"
KEY = "/etc/ssl/private/tokens.example.com.key"


@pytest.mark.parametrize("folder", ["README.md", "docs", "deploy", "examples"])
def test_no_proxy_hands_on_what_a_client_says_of_its_address(folder: str) -> None:
    """They replace the header: what is appended to leaves a stranger's words in it."""
    files = [ROOT / folder] if (ROOT / folder).is_file() else (ROOT / folder).rglob("*")
    for file in files:
        if file.is_file() and file.suffix not in (".png", ".svg"):
            assert not APPENDING.search(file.read_text()), file


@pytest.mark.nginx
def test_nginx_takes_what_the_readme_prints(tmp_path: Path) -> None:
    (block,) = (each for each in blocks() if each.language == "nginx")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=tokens.example.com"),
            *("-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    values = {
        "listen 443": f"listen 127.0.0.1:{free_port()}",
        CERTIFICATE: str(tmp_path / "cert.pem"),
        KEY: str(tmp_path / "key.pem"),
    }
    server = block.filled(values, {})
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid nginx.pid; events {{}} http {{ access_log off;\n{server}}}\n")

    done = subprocess.run(
        [nginx_path() or "nginx", "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(file)],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, "warn" in done.stderr) == (0, False), done.stderr

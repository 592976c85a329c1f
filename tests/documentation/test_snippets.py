"""Configurations of other programs, as the README prints them, are taken by these programs."""

import re
import subprocess
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper

from config.env.databases import parse_database_url
from tests.conftest import is_on_postgresql, nginx_path
from tests.documentation.blocks import block_at
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
    block = block_at("README.md: server { listen")
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


@pytest.mark.both
@pytest.mark.django_db
@pytest.mark.skipif(not is_on_postgresql(), reason="it asks PostgreSQL")
def test_postgresql_tells_whose_its_connections_are() -> None:
    block = block_at("docs/operations/more-than-one.md: SELECT application_name")
    with connection.cursor() as cursor:
        cursor.execute("SET application_name = 'permatoken-web'")
        cursor.execute(block.text)
        columns, rows = [each.name for each in cursor.description], cursor.fetchall()

    assert columns == ["application_name", "client_addr", "state", "count"]
    assert "permatoken-web" in [name for name, *_facts in rows]


@pytest.mark.both
@pytest.mark.django_db
@pytest.mark.skipif(not is_on_postgresql(), reason="it asks PostgreSQL")
def test_portal_finds_the_one_of_two_servers_that_takes_writes() -> None:
    """The first does not answer."""
    settings, parameters = connection.settings_dict, connection.get_connection_params()
    quoted = parameters["host"].replace("/", "%2F")
    block = block_at("docs/operations/more-than-one.md: DATABASE_URL=")
    script = block.filled(
        {
            "permatoken:…": parameters["user"],
            "db-1:5432": f"127.0.0.1:{free_port()}",
            "db-2:5432": f"{quoted}:{settings['PORT'] or 5432}",
            "/permatoken?": f"/{settings['NAME']}?",
        },
        {},
    )
    said = subprocess.run(
        ["bash", "-euc", f'{script}\nprintf %s "$DATABASE_URL"'], check=True, capture_output=True
    )

    found = parse_database_url(said.stdout.decode(), conn_max_age=0)

    with psycopg.connect(**DatabaseWrapper({**settings, **found}).get_connection_params()) as other:
        assert other.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)

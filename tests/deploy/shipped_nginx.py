"""deploy/nginx, with the ports and places of a test."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.conftest import nginx_path
from tests.examples.test_nginx import running
from tests.portal import ROOT, free_port

FOLDER = ROOT / "deploy" / "nginx"
TLS = (
    "ssl_certificate /etc/permatoken/tls/certificate.pem;",
    "ssl_certificate_key /etc/permatoken/tls/key.pem;",
)
WEBS = {
    "webs-of-units.conf": ("127.0.0.1:8000", "127.0.0.1:8001"),
    "webs-of-compose.conf": ("172.29.56.11:8000", "172.29.56.12:8000"),
}
"""The files with the webs, and where these are."""
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}
http {{
    access_log off; {temporary}
    {webs}
    {portal}
}}
"""


def shipped(folder: Path, own: Mapping[str, str], name: str = "permatoken.conf") -> str:
    """The file with these words in place of its own, and with its logs in the folder."""
    text = (FOLDER / name).read_text().replace("/var/log/nginx", str(folder))
    for printed, word in own.items():
        assert printed in text, f"{name} has no {printed!r} any more."
        text = text.replace(printed, word)
    return text


@contextlib.contextmanager
def proxy(
    first: int, second: int, folder: Path, upstream: str = "webs-of-units.conf"
) -> Iterator[int]:
    """nginx in front of the webs at two ports, as it is shipped but for TLS; yields its port."""
    port = free_port()
    folder.chmod(0o755)  # nginx's workers are others
    temporary = " ".join(
        f"{each}_temp_path {folder}/{each};"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    own = [f"127.0.0.1:{each}" for each in (first, second)]
    portal = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        **dict.fromkeys(TLS, ""),
    }
    file = folder / "nginx.conf"
    file.write_text(
        NGINX.format(
            folder=folder,
            temporary=temporary,
            webs=shipped(folder, dict(zip(WEBS[upstream], own, strict=True)), upstream),
            portal=shipped(folder, portal),
        )
    )
    with running([nginx_path() or "nginx", "-p", str(folder), "-c", str(file)], port):
        yield port

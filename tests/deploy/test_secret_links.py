"""Links of mails stay out of the logs of proxies. Which they are, the URL configuration says."""

import contextlib
import http.client
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from tests.conftest import nginx_path
from tests.deploy.shipped_nginx import shipped
from tests.examples.test_nginx import running
from tests.portal import ROOT, free_port
from tests.secret_paths import SECRET, paths_up_to_the_secret, secret_paths

DEPLOY = ROOT / "deploy"
NGINX = """
pid nginx.pid;
error_log {folder}/main.log info;
events {{}}
http {{
    access_log {folder}/default.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream permatoken {{ server 127.0.0.1:{nobody}; server 127.0.0.1:{nobody_either}; }}
    {portal}
}}
"""


class Proxy:
    """deploy/nginx/permatoken.conf, whose webs are both away."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tls, self.plain = folder, free_port(), free_port()
        own = {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.tls} ssl;",
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "/etc/permatoken/tls": str(folder),
        }
        text = shipped(folder, own)
        ports = {"nobody": free_port(), "nobody_either": free_port()}
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, portal=text, **ports))

    def ask(self, path: str, *, over_tls: bool = True, **headers: str) -> int:
        port, context = self.tls if over_tls else self.plain, ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
            if over_tls
            else http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        )
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": "tokens.example.com", **headers})
            return connection.getresponse().status

    def wait_for(self, line: str) -> None:
        """nginx writes its line after its answer."""
        deadline = time.monotonic() + 20
        while line not in self.logs():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)

    def logs(self) -> str:
        return "".join(file.read_text() for file in sorted(self.folder.glob("*.log")))


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    tmp_path.chmod(0o755)  # nginx's workers are others
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=tokens.example.com"),
            *("-keyout", "key.pem", "-out", "certificate.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    proxy = Proxy(tmp_path)
    command = [nginx_path() or "nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    with running([*command, "-g", "daemon off;"], proxy.tls):
        yield proxy


@pytest.mark.nginx
def test_no_log_of_nginx_has_a_link_while_the_webs_are_away(proxy: Proxy) -> None:
    """Nothing has used it up."""
    for path in secret_paths():
        assert proxy.ask(path) == 502
        assert proxy.ask(path, over_tls=False) == 301
        assert proxy.ask("/icon", Referer=f"https://tokens.example.com{path}") == 502
        assert proxy.ask("/icon", over_tls=False, Referer=f"http://example.com{path}") == 301
        assert proxy.ask(f"/sign-in/?next={path}") == 502
        assert proxy.ask(f"/sign-in/?next={quote(quote(path, safe=''), safe='')}") == 502

    assert proxy.ask("/is-logged/?next=/accounts/1/") == 502
    proxy.wait_for('"GET /is-logged/?next=/accounts/1/ HTTP/1.1" 502')
    assert '"GET /icon HTTP/1.1" 502' in proxy.logs()
    assert SECRET not in proxy.logs()


def test_readme_names_where_they_start() -> None:
    (paragraph,) = (
        each
        for each in (ROOT / "README.md").read_text().split("\n\n")
        if each.startswith("nginx's own logs hold")
    )

    assert [it for it in paths_up_to_the_secret() if f"`{it}`" not in paragraph] == []


def test_ingress_logs_none_of_them() -> None:
    file = DEPLOY / "kubernetes" / "overlays" / "example" / "ingress.yaml"
    quiet = {
        path["path"]
        for ingress in yaml.safe_load_all(file.read_text())
        for annotations in [ingress["metadata"].get("annotations", {})]
        if annotations.get("nginx.ingress.kubernetes.io/enable-access-log") == "false"
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    }

    assert quiet == {path.rstrip("/") for path in paths_up_to_the_secret()}

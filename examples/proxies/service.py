"""A service that answers with what reached it, and echoes over WebSockets.

`python3 service.py [PORT]`
"""

import base64
import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What the answer to a handshake is made of (RFC 6455)."""


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body leave together

    def answer(self) -> None:
        if self.wants_socket:
            self.echo()
            return
        size = len(self.body())
        reached = {
            "method": self.command,
            "path": self.path,
            "headers": self.headers.items(),
            "bytes": size,
        }
        body = json.dumps(reached).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.command == "OPTIONS":
            self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    @property
    def wants_socket(self) -> bool:
        is_asked = self.headers.get("Upgrade", "").lower() == "websocket"
        return is_asked and self.command == "GET" and "Sec-WebSocket-Key" in self.headers

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def echo(self) -> None:
        """Send back what comes, as it comes."""
        key = self.headers["Sec-WebSocket-Key"].encode()
        accepted = base64.b64encode(
            hashlib.sha1(key + WEBSOCKET, usedforsecurity=False).digest()
        ).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accepted)
        self.end_headers()
        self.wfile.flush()
        while some := self.connection.recv(4096):
            self.connection.sendall(some)
        self.close_connection = True

    def log_message(self, *_facts: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8090
    ThreadingHTTPServer(("127.0.0.1", port), Echo).serve_forever()

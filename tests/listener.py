"""Servers that take connections, and answer nothing unless they are told to."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress


class Listener:
    """A server that takes connections, and does with each what it is told."""

    def __init__(self, meet: Callable[[socket.socket], None]) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.met = 0
        self._meet = meet
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        held = []
        while True:
            try:
                held.append(self.socket.accept()[0])
            except OSError:
                return
            self.met += 1
            self._meet(held[-1])


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    """Answers whatever is sent in the same way."""

    def talk(peer: socket.socket) -> None:
        with suppress(OSError):
            while peer.recv(9_999):
                peer.sendall(answer)

    return lambda peer: threading.Thread(target=talk, args=[peer], daemon=True).start()


@contextmanager
def listening(meet: Callable[[socket.socket], None] = lambda _peer: None) -> Iterator[Listener]:
    listener = Listener(meet)
    with closing(listener.socket):
        yield listener

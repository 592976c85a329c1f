"""A real SMTP server that keeps what it took and fails as a test asks it to.

In a test it runs in a thread. `python -m tests.mailserver FILE` is one in a process of its own: it
prints its port, writes a line for every mail that it takes to FILE before it says so, and reads its
moods from standard input.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import IO, Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HANG, DROP, TAKE_AND_DROP, TAKE_AND_HANG = "hang", "drop", "take and drop", "take and hang"
LONG = 3600
logging.getLogger("mail.log").setLevel(logging.ERROR)  # the server's own, a line for every command


@dataclass
class Mood:
    """How the server answers at each step. "" is well; else a reply ("451 Later"), or one of the
    words above."""

    greeting: str = ""
    mail: str = ""
    rcpt: str = ""
    data: str = ""
    body: str = ""
    thinks: float = 0
    """Seconds between the end of the body and the answer."""


NO_SUCH_USER = Mood(rcpt="550 5.1.1 No such user")


class Taken(NamedTuple):
    """A mail that the server has taken."""

    sender: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)


@dataclass
class Keeper:
    """What the server does, and what it remembers."""

    mood: Mood = field(default_factory=Mood)
    moods_of: dict[str, Mood] = field(default_factory=dict)
    """Moods towards single recipients."""
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    """Names by which clients have introduced themselves."""
    most_mails_in_connection: int | None = None
    on_taken: Callable[[Taken], None] | None = None
    on_doubt: Callable[[], None] = lambda: None
    """Called when the client will not hear what became of its mail."""
    on_end: Callable[[], None] = lambda: None
    """Called when a connection has ended."""

    async def handle_MAIL(  # noqa: N802
        self, server: "_Server", session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        self.commands.append("MAIL")
        self.clients.append(session.host_name or "")
        most = self.most_mails_in_connection
        if most is not None and server.mails >= most:
            return "421 Too many mails in one connection"
        if answer := await server.react(self.mood.mail):
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: "_Server", _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        mood = self.moods_of.get(address, self.mood)
        if answer := await server.react(mood.rcpt):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: "_Server", _session: Session, envelope: Envelope
    ) -> str:
        recipient = envelope.rcpt_tos[0]
        mood = self.moods_of.get(recipient, self.mood)
        await asyncio.sleep(mood.thinks)
        if mood.body in (HANG, DROP, TAKE_AND_DROP, TAKE_AND_HANG):
            self.on_doubt()
        if mood.body not in ("", TAKE_AND_DROP, TAKE_AND_HANG):
            return await server.react(mood.body)
        content = envelope.original_content
        assert isinstance(content, bytes)
        self._take(Taken(envelope.mail_from or "", recipient, content))
        server.mails += 1
        return await server.react(mood.body) or "250 OK"

    def _take(self, taken: Taken) -> None:
        if self.on_taken:
            self.on_taken(taken)
        else:
            self.taken.append(taken)


class _Server(SMTP):
    """One connection."""

    mails = 0

    async def react(self, how: str) -> str:
        """Do as the mood says. Returns the reply, if there is one to give."""
        if how in (HANG, TAKE_AND_HANG):
            await asyncio.sleep(LONG)
        elif how in (DROP, TAKE_AND_DROP):
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.abort()
            await asyncio.sleep(LONG)
        return how

    @property
    def keeper(self) -> Keeper:
        assert isinstance(self.event_handler, Keeper)
        return self.event_handler

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.keeper.on_end()

    async def _handle_client(self) -> None:
        self.keeper.connections += 1
        if answer := await self.react(self.keeper.mood.greeting):
            await self.push(answer)
            assert self.transport is not None
            self.transport.close()
            return
        await super()._handle_client()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if answer := await self.react(self.keeper.mood.data):
            await self.push(answer)
            return
        await super().smtp_DATA(arg)


class MailServer:
    """An SMTP server on a port of this machine, in a thread of its own."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.keeper = Keeper()
        self._tls, self._starttls, self._login = tls, starttls, login
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> "MailServer":
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()
        self._call(self._end_connections())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = self._call(listen(self._make, self.port, self._tls))
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Refuse connections from now on."""
        assert self._server is not None
        self._loop.call_soon_threadsafe(self._server.close)
        self._call(asyncio.sleep(0))

    @property
    def recipients(self) -> list[str]:
        return [taken.recipient for taken in self.keeper.taken]

    def _make(self) -> _Server:
        return _Server(
            self.keeper,
            hostname="mail.example",
            loop=self._loop,
            tls_context=self._starttls,
            require_starttls=self._starttls is not None,
            authenticator=self._authenticate if self._login else None,
            auth_required=self._login is not None,
            auth_require_tls=self._starttls is not None,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any
    ) -> AuthResult:
        assert self._login is not None
        user, password = self._login
        is_good = given == LoginPassword(user.encode(), password.encode())
        return AuthResult(success=is_good, handled=False)

    def _call(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=10)

    async def _end_connections(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def listen(
    make: Callable[[], _Server], port: int, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(make, "127.0.0.1", port, ssl=tls)


@contextlib.contextmanager
def mail_server(**facts: Any) -> Iterator[MailServer]:
    with MailServer(**facts) as server:
        yield server


# --- A server in a process of its own ---


async def _serve(record: IO[str] | None) -> None:
    keeper = Keeper(
        on_taken=lambda taken: _write(record, taken),
        on_doubt=lambda: _write(record, None),
    )
    loop = asyncio.get_running_loop()

    def make() -> _Server:
        return _Server(keeper, hostname="mail.example", loop=loop)

    server = await listen(make, 0)
    port = server.sockets[0].getsockname()[1]
    _say(str(port))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        if order.pop("refuses", False):
            server.close()
        elif not server.is_serving():
            server = await listen(make, port)
        keeper.moods_of = dict.fromkeys(order.pop("rejects"), NO_SUCH_USER)
        keeper.mood = Mood(**order)
    os._exit(0)  # our parent is gone: no need to wait for connections to end


def _write(record: IO[str] | None, taken: Taken | None) -> None:
    """A line for a mail that was taken, or an empty one for a doubt that was left."""
    if record is None:
        return
    if taken:
        numbers = sorted({int(each) for each in re.findall(rb"\b\d{9}\b", taken.content)})
        message_id = re.search(rb"^Message-ID: (\S+)", taken.content, re.MULTILINE | re.IGNORECASE)
        facts = {
            "to": taken.recipient,
            "id": message_id[1].decode() if message_id else "",
            "numbers": numbers,
        }
        record.write(json.dumps(facts))
    record.write("\n")
    record.flush()


def order(mood: Mood, *, refuses: bool = False, rejects: Sequence[str] = ()) -> str:
    """A mood as the process reads it: towards all but some recipients, whom it does not know."""
    return f"{json.dumps({**asdict(mood), 'refuses': refuses, 'rejects': rejects})}\n"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(path: str) -> None:
    with contextlib.ExitStack() as stack:
        record = stack.enter_context(open(path, "a")) if path else None
        asyncio.run(_serve(record))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")

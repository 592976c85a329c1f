"""What a mail server's reply means. Pure: decided by reply codes alone (RFC 5321, RFC 3463)."""

import re
from enum import Enum

CLOSING = 421
ACCEPTING = {
    "MAIL": range(250, 251),
    "RCPT": range(250, 252),
    "DATA": range(354, 355),
    "body": range(200, 300),
}
ABOUT_RECIPIENT = {550, 551, 553}
"""Refusals for good that mean the recipient, where a server says no more."""
ENHANCED_CODE = re.compile(rb"(5\.\d{1,3}\.\d{1,3})\b")
ENHANCED_ABOUT_SENDER = {"5.1.7", "5.1.8"}


class Stage(Enum):
    """The steps of sending one mail. The server replies to each."""

    SENDER = "MAIL"
    RECIPIENT = "RCPT"
    DATA = "DATA"
    BODY = "body"


class Verdict(Enum):
    """What becomes of a mail. But for `ACCEPTED` and `UNKNOWN` it was surely not taken."""

    ACCEPTED = "accepted"
    """The next step can follow; after the body, the server has taken the mail."""
    RETRY_LATER = "retry later"
    """This mail waits. The others can be sent."""
    REJECTED = "rejected"
    """Trying again is no use."""
    SERVER_DOWN = "server down"
    """This mail waits, and the others too: the reason concerns them all."""
    UNKNOWN = "unknown"
    """The server has the whole mail, and nobody knows whether it took it."""


def verdict_on(
    stage: Stage, code: int, enhanced_code: str | None, *, has_taken: bool = False
) -> Verdict:
    """Decide what a reply means. `has_taken`: the server has taken other mails of ours in this run.

    A refusal of the sender is about us or the server, never about the recipient. Many servers keep
    until RCPT what they have against us ("Relay access denied"), and no code tells that from what
    they have against one mail. So a refusal for good by a server that has taken nothing from us
    counts as one of us, unless it is about the recipient's address or mailbox.
    """
    if code in ACCEPTING[stage.value]:
        return Verdict.ACCEPTED
    if not 400 <= code < 600:
        return Verdict.UNKNOWN if stage is Stage.BODY else Verdict.SERVER_DOWN
    if stage is Stage.SENDER or code == CLOSING:
        return Verdict.SERVER_DOWN
    if code < 500:
        return Verdict.RETRY_LATER
    if _is_about_recipient(code, enhanced_code):
        return Verdict.REJECTED
    return Verdict.RETRY_LATER if has_taken else Verdict.SERVER_DOWN


def _is_about_recipient(code: int, enhanced_code: str | None) -> bool:
    """True if the address (5.1.x) or the mailbox (5.2.x) of the recipient is refused. The operators
    of either side can mend all else."""
    if enhanced_code is None:
        return code in ABOUT_RECIPIENT
    is_about_address = enhanced_code.startswith(("5.1.", "5.2."))
    return is_about_address and enhanced_code not in ENHANCED_ABOUT_SENDER


def enhanced_code_of(reply: bytes) -> str | None:
    """The enhanced code of a refusal for good, if the reply begins with one."""
    found = ENHANCED_CODE.match(reply)
    return found[1].decode() if found else None

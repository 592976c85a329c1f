"""Reads the colours of a picture that a browser has taken (PNG, eight bits, not interlaced)."""

import struct
import zlib
from collections.abc import Iterator

Colour = tuple[int, int, int]
SAMPLES = {2: 3, 6: 4}
"""By the kind of picture: red, green and blue; and how opaque."""


def row_of(png: bytes, number: int) -> list[Colour]:
    """The colours of the row of this number, from left to right; the first has number 0."""
    width, _height, bits, kind, _method, _filters, interlaced = struct.unpack(
        ">IIBBBBB", next(data for name, data in _chunks(png) if name == b"IHDR")
    )
    assert (bits, interlaced) == (8, 0)
    size = SAMPLES[kind]
    rows = zlib.decompress(b"".join(data for name, data in _chunks(png) if name == b"IDAT"))
    line = bytearray(width * size)
    for start in range(0, (number + 1) * (len(line) + 1), len(line) + 1):
        line = _unfiltered(rows[start], rows[start + 1 : start + 1 + len(line)], line, size)
    return [(line[at], line[at + 1], line[at + 2]) for at in range(0, len(line), size)]


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(b"\x89PNG\r\n\x1a\n")
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _unfiltered(kind: int, raw: bytes, above: bytearray, size: int) -> bytearray:
    """The row as it is: each byte was kept as its difference from its neighbours."""
    line = bytearray(len(raw))
    for at, byte in enumerate(raw):
        left, up = (line[at - size] if at >= size else 0), above[at]
        corner = above[at - size] if at >= size else 0
        guess = (0, left, up, (left + up) // 2, _nearest(left, up, corner))[kind]
        line[at] = (byte + guess) & 0xFF
    return line


def _nearest(left: int, up: int, corner: int) -> int:
    return min((left, up, corner), key=lambda each: abs(left + up - corner - each))

"""The text rules: which bytes are acceptable SQL text, and what is hashed and executed of them."""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass

CHECKSUM_ALGORITHM = "sha256-1"

# NUL cuts the SQL short in a driver, a lone CR ends no line for people but ends a comment for PostgreSQL, and the
# characters of Unicode's Bidi_Control property show a reviewer another text than the one that runs.
_FORBIDDEN = re.compile("[\x00\r\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Fault:
    """A violation of the text rules, with its place."""

    rule: str
    message: str
    remedy: str
    line: int
    column: int


class TextRefused(Exception):
    """The bytes are not acceptable SQL text; ``fault`` says why and where first."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def checksum(text: str) -> str:
    """SHA-256 of the text in UTF-8, hexadecimal: what ``sha256sum`` says of a file with LF line ends and no BOM."""
    return hashlib.sha256(text.encode()).hexdigest()


def take(pieces: list[bytes]) -> tuple[str, str, str]:
    """Turns the bytes of a file into the text that is hashed and executed; each piece is let go once it is decoded.

    Returns:
        The text, its checksum, and the SHA-256 of the bytes: the two are one where no mark and no CR was left out.

    Raises:
        TextRefused: See ``decode``.
    """
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(piece)
    raw_checksum = hashed.hexdigest()
    beginning = b"".join(piece[:3] for piece in pieces[:3])
    is_same = not beginning.startswith(codecs.BOM_UTF8) and not any(b"\r" in piece for piece in pieces)
    text = decode(pieces[0]) if len(pieces) == 1 else _joined(pieces)
    return text, raw_checksum if is_same else checksum(text), raw_checksum


def _joined(pieces: list[bytes]) -> str:
    """The text of a large file, never there twice: Python lengthens a string in its place that one variable holds.

    Python 3.11 finds out that it may in a loop of this form only; elsewhere it is a copy for each piece.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    text = ""
    pieces.reverse()
    for left in range(len(pieces), 0, -1):
        try:
            piece = decoder.decode(pieces[-1], final=left == 1)
        except UnicodeDecodeError:
            # Where it is tells who sees all of it.
            return decode(text.encode() + decoder.getstate()[0] + b"".join(reversed(pieces)))
        text += piece
        pieces.pop()
    return _accepted(text.removeprefix("\ufeff"))


def decode(data: bytes) -> str:
    """The text of some bytes.

    Strict UTF-8; one leading BOM is stripped; CRLF becomes LF.

    Raises:
        TextRefused: Not UTF-8, or a NUL, a lone CR or a bidi control character in it.
    """
    if data.startswith(_UTF16_MARKS):
        raise TextRefused(_not_utf8("The file is UTF-16 (byte offset 0)", 1, 1))
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextRefused(_undecodable(data, error)) from None
    return _accepted(text)


def _accepted(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if (not text.isascii() or "\x00" in text or "\r" in text) and (match := _FORBIDDEN.search(text)):
        raise TextRefused(_forbidden(match))
    return text


def _undecodable(data: bytes, error: UnicodeDecodeError) -> Fault:
    offset = error.start + (len(data) - len(error.object))
    before = data[:offset]
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode("utf-8", "replace")) + 1
    message = f"Not UTF-8: byte 0x{data[offset]:02x} at offset {offset}"
    return _not_utf8(message, before.count(b"\n") + 1, column)


def _not_utf8(message: str, line: int, column: int) -> Fault:
    return Fault("encoding", message + ".", "Save the file as UTF-8.", line, column)


def _forbidden(match: re.Match[str]) -> Fault:
    text, start, character = match.string, match.start(), match.group()
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    if character == "\x00":
        return Fault("nul", "A NUL byte, which ends the SQL for the driver.", "Remove it.", line, column)
    if character == "\r":
        message = "A carriage return without a line feed: PostgreSQL ends a comment there, an editor does not."
        return Fault("lone-cr", message, "Save the file with LF or CRLF line ends.", line, column)
    code = f"{ord(character):04X}"
    message = f"Bidi control character U+{code}: a reviewer sees another text than the one that runs."
    return Fault("hidden-text", message, f"Remove it, or write it as U&'\\{code}' in a literal.", line, column)

"""What scanner, parser and loader promise for any input: each function fails where the promise is broken."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlmigrations import hazards
from sqlmigrations.examination import examine
from sqlmigrations.loader import load
from sqlmigrations.management.rendering import findings_text
from sqlmigrations.masking import MASK, mask, mask_lines
from sqlmigrations.parser import outline, parse, sql_checksum
from sqlmigrations.planning import passwords
from sqlmigrations.resume.effects import effect
from sqlmigrations.sql import patience, statements, units
from sqlmigrations.sql.scanner import ScanError, Statement, TokenKind, position, split, tokens
from sqlmigrations.text import TextRefused, checksum, decode
from sqlmigrations.types import Finding, Source
from tests.samples import migration

# Between two files of a folder, and between the name of one and its contents.
NEXT_FILE, NAME_END = b"\0\0", b"\n"
_OUTSIDE = (TokenKind.SPACE, TokenKind.COMMENT, TokenKind.DATA)


def scanner(data: bytes) -> None:
    """Every character is in one token, every statement lies where the tokens say, and refusals name a place."""
    text = _text(data)
    read, refused = "", None
    try:
        for token in tokens(text):
            read += token.text
    except ScanError as error:
        refused = error
    assert text.startswith(read)
    assert read == text if refused is None else (refused.line, refused.column) == position(text, refused.offset)
    if all(word not in text.lower() for word in ("atomic", "restrict")):
        assert outcome(cut_by_split, text) == outcome(cut_by_tokens, text)
    try:
        every = split(text).statements
    except ScanError:
        return
    end = 0
    for statement in every:
        assert end <= statement.start < statement.end <= len(text)
        assert (statement.line, statement.column) == position(text, statement.start)
        _ask(statement)
        end = statement.end if statement.data is None else statement.data[1]
    units.cut(every)
    patience.timetable(every, 1_000, None)


def parser(data: bytes) -> None:
    """No contents raise; findings name places; the sum is stable; no password that is found is shown."""
    up, _, down = _text(data).partition("\f")
    of = migration("project.001_a", up, down or None)
    script = parse(of)
    lines = up.count("\n") + 1
    linted, _ = hazards.find([script], frozenset())
    for finding in (*script.faults, *script.dangers, *linted):
        assert finding.line is None or 1 <= finding.line <= lines
        _is_fit_to_print(finding)
    if all(danger.rule != "unterminated" for danger in script.dangers):
        assert outline(of).directives == script.directives
    assert sql_checksum(of.file) == sql_checksum(of.file, script.directives)
    masking(up, passwords(script))


def masking(text: str, secrets: frozenset[str]) -> None:
    """None is left, and the excerpts keep their columns."""
    masked = "\n".join(mask_lines(text, secrets))
    in_place = mask_lines(text, secrets, in_place=True)
    assert [len(line) for line in in_place] == [len(line) for line in text.split("\n")]
    for secret in secrets:
        # What looks like a mask can come into being by masking.
        if len(secret) >= 3 and "*" not in secret:
            assert secret not in mask(text, secrets).replace(MASK, "\0")
            assert secret not in masked
            assert secret not in "\n".join(in_place)


def loader(data: bytes) -> None:
    """Every file of a folder is either a migration or is told of, whatever it is called and holds."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        names = set()
        for entry in data.split(NEXT_FILE):
            name, _, contents = entry.partition(NAME_END)
            name = name.replace(b"/", b"_").replace(b"\0", b"")[:240]
            if name not in (b"", b".", b".."):
                path = folder / name.decode(errors="surrogateescape")
                path.write_bytes(contents)
                names.add(path.name)
        loaded = load([Source("project", folder)])
        seen = {Path(file.path).name for m in loaded.migrations for file in (m.file, m.down) if file is not None}
        assert seen <= names
        # The way back of a file that was refused is not told of: it has its up, which is.
        wanted = [name for name in names - seen if name.lower().endswith(".sql") and ".down." not in name]
        assert len(loaded.findings) >= len(wanted)
        for each in loaded.migrations:
            for file in filter(None, (each.file, each.down)):
                assert file.checksum == checksum(file.text)
        examined = examine(folder, names)
        for finding in (*loaded.findings, *examined.faults, *examined.dangers, *examined.warnings):
            _is_fit_to_print(finding)


TARGETS: dict[str, Callable[[bytes], None]] = {"scanner": scanner, "parser": parser, "loader": loader}


def outcome(cut: Callable[[str], tuple[list[str], list[str]]], text: str) -> object:
    """What a way of cutting makes of a text, or why it does not."""
    try:
        return cut(text)
    except ScanError as error:
        return error.message, error.offset


def cut_by_split(text: str) -> tuple[list[str], list[str]]:
    """Statements and psql commands as the runner gets them."""
    found, meta = split(text)
    return [statement.text for statement in found], [command.text for command in meta]


def cut_by_tokens(text: str) -> tuple[list[str], list[str]]:
    """The same as the plain reading of the token list has them."""
    found, meta = [], []
    depth, start, end = 0, None, 0
    for token in tokens(text):
        if token.kind is TokenKind.META:
            meta.append(token.text.rstrip())
        if token.kind is TokenKind.META or token.kind in _OUTSIDE:
            continue
        if start is None and token.text == ";":
            continue
        start = token.start if start is None else start
        end = token.start + len(token.text)
        depth = max(depth + (token.text in ("(", "[")) - (token.text in (")", "]")), 0)
        if token.text == ";" and depth == 0:
            found.append(text[start:end])
            start = None
    return found + ([] if start is None else [text[start:end]]), meta


def _text(data: bytes) -> str:
    """Half of what a fuzzer thinks of is no text; what is refused is tried as what it may stand for."""
    try:
        return decode(data)
    except TextRefused as error:
        refused = error
    assert refused.fault.line >= 1
    assert refused.fault.column >= 1
    return data.decode("latin-1").replace("\0", " ").replace("\r", " ")


def _ask(statement: Statement) -> None:
    """Every question that the runner asks about a statement."""
    for question in (statements.control, statements.begin_options, statements.refuses_transaction, statements.sets):
        question(statement)
    statements.is_neutral(statement)
    statements.touches_session(statement)
    units.spoken(statement)
    units.is_concurrent(statement)
    patience.alone_ms(statement, 1_000, None)
    effect(statement)


def _is_fit_to_print(finding: Finding) -> None:
    """No byte that is no text, nothing that a terminal would obey."""
    told = findings_text("", [finding])
    told.encode()
    assert all(c.isprintable() or c in "\n\t" for c in told), told

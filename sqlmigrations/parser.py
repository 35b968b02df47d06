"""The contents of one migration: directives, statements, how they are to be run, and what forbids it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlmigrations import directives, excerpts
from sqlmigrations.sql import statements, units
from sqlmigrations.sql.lexer import INSIGNIFICANT, lex
from sqlmigrations.sql.scanner import MetaCommand, ScanError, Split, Statement, TokenKind, significant, split, uncut
from sqlmigrations.sql.sequence import telling
from sqlmigrations.sql.statements import Control
from sqlmigrations.types import Directives, Finding, Mode, Severity, SqlFile, SqlMigration

# Beyond it tokens are not compared: any difference of such a file counts as a modification.
SQL_CHECKSUM_LIMIT = 1_000_000

_FURTHER_UP = "It may begin further up: a quote that was not closed on an earlier line ends at the next one."
_CLOSINGS = (
    ("quoted string", f"Close it; a quote inside a literal is written twice: 'it''s'. {_FURTHER_UP}"),
    ("quoted identifier", f'Close it with ". {_FURTHER_UP}'),
    ("comment may follow", "Move what follows below the data."),
    ("comment", "Write */ at its end; comments nest."),
    ("without its data", r"Write a semicolon and the rows below it, and \. on a line of its own after them."),
    ("", r"Write \. on a line of its own after the rows."),
)
_SECRET = re.compile("passw|secret|token|connection", re.IGNORECASE)
# What to write in place of a command of psql; of the others, to write out what it stands for.
_INSTEAD = (
    (r"\\copy", r"Write COPY ... FROM stdin; with the rows below it and \. on a line of its own."),
    (
        r"\\c(onnect)?",
        "Remove the line: a file runs on one database, that of the alias. To say which: -- database: ALIAS",
    ),
    (r"\\(d\S*|l\+?|q?echo|warn|timing|pset|x|a|t|q|prompt|conninfo|errverbose|encoding)", "Remove the line."),
)


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed migration.

    Attributes:
        statements: What is sent, in order; without an outer BEGIN and COMMIT.
        isolation: Options of an outer BEGIN, for the transaction that takes its place.
        faults: Violations of the directive grammar and of names in it.
        dangers: Contents that certainly fail or break recording.
    """

    migration: SqlMigration
    directives: Directives
    statements: Sequence[Statement] = field(repr=False)
    mode: Mode
    isolation: str
    faults: tuple[Finding, ...]
    dangers: tuple[Finding, ...]

    def gone_on_with(self) -> Script:
        """As it runs when it is half done: the rest may all fit into one transaction, its record does not."""
        return replace(self, mode=Mode.STATEMENTS)


def parse(migration: SqlMigration) -> Script:
    """Parses the text of a migration; never raises for what is in it."""
    try:
        found = split(migration.file.text)
    except ScanError as error:
        found = uncut(migration.file.text)
        message = f"{error.message[:1].upper()}{error.message[1:]}."
        danger = _danger(migration, "unterminated", message, _closing(error), error.line, error.column)
        dangers = [replace(danger, excerpt=_opening(migration.file.text, error))]
    else:
        dangers = [_meta_command(migration, meta) for meta in found.meta]
    settled, faults = directives.read(_header(migration.file.text, found))
    inner, isolation, refusals = _unwrap(migration, found.statements, settled)
    refusing = _refusing(inner, settled)
    mode = settled.transaction or (Mode.STATEMENTS if refusing else Mode.TRANSACTION)
    refusals += _misplaced(migration, inner, settled, refusing, is_wrapped=len(inner) < len(found.statements))
    return Script(
        migration=migration,
        directives=settled,
        statements=inner,
        mode=mode,
        isolation=isolation,
        faults=tuple(_fault(migration, fault) for fault in faults),
        dangers=(*dangers, *refusals),
    )


def outline(migration: SqlMigration) -> Script:
    """Only what its directives say, for which the text is read up to its first statement; ``statements`` is empty."""
    settled, faults = directives.read(_head(migration.file.text))
    found = tuple(_fault(migration, fault) for fault in faults)
    return Script(migration, settled, (), settled.transaction or Mode.TRANSACTION, "", found, ())


def sql_checksum(file: SqlFile, settled: Directives | None = None) -> str:
    """SHA-256 over the delimited tokens and effective directives: equal for texts that differ in layout only.

    Literals and COPY data count to the letter, comments and white space do not, keywords and unquoted names are
    folded as PostgreSQL folds them. Empty for a text beyond ``SQL_CHECKSUM_LIMIT`` characters or one that cannot be
    scanned; such a text agrees with nothing but itself.

    Args:
        file: Its text is taken apart.
        settled: Its directives, where they are known already.
    """
    if len(file.text) > SQL_CHECKSUM_LIMIT:
        return ""
    try:
        found = [
            # _name_ is what name looks up, in more time than all the rest of it takes.
            f"{token.kind._name_}\x1f{token.value if token.kind is TokenKind.WORD else token.text}\x1e"
            for token in significant(file.text)
        ]
        if settled is None:
            settled, _ = directives.read(_header(file.text, split(file.text)))
    except ScanError:
        return ""
    return hashlib.sha256(("".join(found) + "\x1e".join(_effective(settled))).encode()).hexdigest()


def _effective(settled: Directives) -> Iterator[str]:
    """The directives that change what happens.

    Reasons and permissions may be added to an applied file. Migrations of Django's that it names may be changed: they
    say only when it runs, and once squashed they have other names.
    """
    for dependency in sorted((d.label, d.name) for d in settled.depends):
        yield "depends=" + ".".join(dependency)
    yield f"transaction={settled.transaction and settled.transaction.value}"
    yield f"lock-timeout={settled.lock_timeout_ms}"
    yield f"statement-timeout={settled.statement_timeout_ms}"
    yield f"database={settled.database}"


def _closing(error: ScanError) -> str:
    """What to write where something is open, by what the scanner says of it."""
    if "dollar-quoted" in error.message:
        return f"Write {error.message.rpartition(' ')[2]} at its end."
    return next(text for words, text in _CLOSINGS if words in error.message)


def _header(text: str, found: Split) -> str:
    starts = [s.start for s in found.statements[:1]]
    return text[: starts[0]] if starts else text


def _head(text: str) -> str:
    """As ``_header``, without taking the statements apart."""
    try:
        for token in lex(text, 0, len(text), without=INSIGNIFICANT):
            if token.kind is not TokenKind.META and token.text != ";":
                return text[: token.start]
    except ScanError:
        pass  # Nothing of it can be run; what is wrong with it is told where its statements are looked at.
    return text


def _unwrap(
    migration: SqlMigration, found: Sequence[Statement], settled: Directives
) -> tuple[Sequence[Statement], str, list[Finding]]:
    """Leaves out a BEGIN ... COMMIT around the whole file: the runner's transaction takes its place."""
    if settled.transaction is Mode.STATEMENTS:
        return found, "", []
    if len(found) < 2 or statements.control(found[0]) is not Control.BEGIN:
        return found, "", []
    first, last = found[0], found[-1]
    if statements.control(last) is not Control.COMMIT or "chain" in {token.value for token in last.tokens()}:
        return found, "", []
    options = statements.begin_options(first)
    if "READ ONLY" in options:
        message = "The file declares its own transaction READ ONLY; it could not be recorded in it."
        refusal = _danger(migration, "transaction-control", message, "Remove READ ONLY.", first.line, first.column)
        return found[1:-1], "", [refusal]
    return found[1:-1], options, []


def _refusing(inner: Sequence[Statement], settled: Directives) -> Statement | None:
    """The first statement that cannot run in a transaction; where none is opened there is none to look for."""
    if settled.transaction is Mode.STATEMENTS:
        return None
    return next((each for _, each in telling(inner) if statements.refuses_transaction(each)), None)


def _misplaced(
    migration: SqlMigration,
    inner: Sequence[Statement],
    settled: Directives,
    refusing: Statement | None,
    *,
    is_wrapped: bool,
) -> list[Finding]:
    """What cannot run the way the file is going to: outside of a transaction, or inside of one."""
    if settled.transaction is Mode.STATEMENTS:
        _, faults = units.cut(inner)
        return [_control(migration, fault) for fault in faults]
    if refusing is None:
        return []
    words = f"{units.spoken(refusing)} cannot run in a transaction, and"
    others = (s for _, s in telling(inner) if not statements.refuses_transaction(s))
    other = next((s for s in others if not statements.is_neutral(s)), None)
    if settled.transaction is Mode.TRANSACTION:
        message = f"{words} the file says  -- transaction: on ."
        remedy = "Write  -- transaction: off   instead, or move it into a file of its own."
    elif is_wrapped:
        message = f"{words} the file is one, from its BEGIN to its COMMIT."
        remedy = "Take BEGIN and COMMIT out, or move it into a file of its own."
    elif other is not None:
        message = (
            f"{words} the file mixes it with statements that can, such as {units.spoken(other)} in line {other.line}."
        )
        remedy = (
            "Move it into a file of its own; or write  -- transaction: off   at the top: every statement then takes "
            "effect by itself, and a run that stops half way goes on at the statement where it stopped."
        )
    else:
        return []
    return [_danger(migration, "non-transactional", message, remedy, refusing.line, refusing.column)]


def _control(migration: SqlMigration, fault: units.Fault) -> Finding:
    place = fault.statement
    return _danger(migration, "transaction-control", fault.message, fault.remedy, place.line, place.column)


def _meta_command(migration: SqlMigration, meta: MetaCommand) -> Finding:
    command = meta.text.split()[0]
    message = f"{command} is a psql command; PostgreSQL itself does not know it."
    remedy = next(
        (text for pattern, text in _INSTEAD if re.fullmatch(pattern, command)),
        f"Write out in SQL what {command} stands for: no file is included, no variable is filled in.",
    )
    return _danger(migration, "psql-command", message, remedy, meta.line, meta.column)


def _fault(migration: SqlMigration, fault: directives.DirectiveFault) -> Finding:
    return _danger(migration, fault.rule, fault.message, fault.remedy, fault.line, 1)


def _opening(text: str, error: ScanError) -> str:
    """Where it was opened; nothing of a line with a secret, which cannot be masked while quotes do not match."""
    shown = excerpts.around(text, error.line, error.column, frozenset())
    return "" if _SECRET.search(shown) else shown


def _danger(migration: SqlMigration, rule: str, message: str, remedy: str, line: int, column: int) -> Finding:
    return Finding(
        rule, Severity.ERROR, message, remedy, migration.id, migration.file.location, line=line, column=column
    )

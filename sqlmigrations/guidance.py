"""What to do about an error of the server, by SQLSTATE.

The states are those of https://www.postgresql.org/docs/current/errcodes-appendix.html.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from types import MappingProxyType

from sqlmigrations.quoting import literal
from sqlmigrations.types import Blocker, ServerError

APPLY = "python manage.py sqlmigrate_apply"
STATUS = "python manage.py sqlmigrate_status"
# The engine does not know how it was called; what people copy from a message has to be complete.
_OUR_COMMANDS = re.compile(
    r"python manage\.py (?:sqlmigrate_apply|sqlmigrate_status|sqlmigrate_repair|dbshell|migrate)\b(?! --database)"
)

# What means something to the shell within double quotes.
_SPECIAL = re.compile(r"[\"$`\\!]")

_ADVICE = MappingProxyType(
    {
        "22P05": "The encoding of this database has no such character, not even for a comment. Take it out of the "
        "file, or move to a database in UTF8.",
        "42601": "Correct the SQL.",
        "42P01": "The table does not exist here. Check its spelling and schema; if another file creates it, name that "
        "file in a  -- depends:  line.",
        "42703": "The column does not exist here. Check its spelling and the order of the files.",
        "42704": "The object does not exist here. Check its name and the order of the files.",
        "42883": "No function or operator takes these arguments. Check the types, or whether its extension is "
        "installed (CREATE EXTENSION IF NOT EXISTS ...).",
        "3F000": "The schema does not exist here. Create it in an earlier file.",
        "42P07": "The relation exists already. Guard it with IF NOT EXISTS or choose another name. (If the "
        f"whole file was run by hand, record it instead:  {APPLY} --fake LABEL NUMBER )",
        "42701": "The column exists already. Write ADD COLUMN IF NOT EXISTS, or remove the line.",
        "42710": "The object exists already. Guard it by a check in a DO block, or choose another name.",
        "42P06": "The schema exists already. Write CREATE SCHEMA IF NOT EXISTS.",
        "42723": "The function exists already. Write CREATE OR REPLACE FUNCTION.",
        "55P03": "Another session holds a lock on the table for longer than lock_timeout. Find it with  SELECT pid, "
        "usename, application_name, state, query FROM pg_stat_activity WHERE state <> 'idle' , wait for it or end "
        "it; or give the file a  -- lock-timeout:  line.",
        "40P01": "The application and the migration locked tables in opposite order. If it recurs, change one table "
        "per file.",
        "40001": "A concurrent transaction changed the same rows. Trying again is enough.",
        "42501": "The role of this alias lacks a right. Let the owner of the object run migrations, or GRANT what is "
        "named above.",
        "23502": "Existing rows have no value for the column. Add it nullable or with a DEFAULT, fill it, and set NOT "
        "NULL afterwards.",
        "23505": "Rows with the same key exist. Find them with  SELECT ... GROUP BY ... HAVING count(*) > 1 , or "
        "write INSERT ... ON CONFLICT DO NOTHING.",
        "23503": "A row refers to one that is not there. Correct the data or the order of statements.",
        "23514": "Rows break the constraint. Correct them first, or add it NOT VALID and VALIDATE it later.",
        "55P04": "A value added by ALTER TYPE ... ADD VALUE can be used only after COMMIT. Move its first use into "
        "the next file.",
        "55006": "Rows changed in this transaction still have deferred checks to run (Django's foreign keys are "
        "deferred). Put the data change and the ALTER TABLE into two files, or write SET CONSTRAINTS ALL IMMEDIATE "
        "between them.",
        "25001": "The statement cannot run in a transaction. Move it into a file of its own that begins with the "
        "line  -- transaction: off  or write that line at the top of this one: its statements take effect one by one.",
        "2D000": "COMMIT and ROLLBACK are not possible inside DO or CALL here: the file runs in one transaction. "
        "Remove them.",
        "25006": "The database or session is read-only. Point the alias at the primary, or switch "
        "default_transaction_read_only off.",
        "53100": "The disk of the server is full. Free space.",
        "53200": "The server ran out of memory or lock slots. Split the file.",
        "53300": "The server has no connection left. End idle ones or raise max_connections.",
        "57014": "statement_timeout ended the statement, or a person cancelled it. Give the file a  "
        "-- statement-timeout: 15min  line if it needs longer than this role may take.",
        "25P03": "idle_in_transaction_session_timeout ended the connection while the runner was held up. Raise it for "
        "this role: ALTER ROLE ... SET idle_in_transaction_session_timeout = 0.",
        "25P04": "transaction_timeout ended the transaction. Raise it for this role: ALTER ROLE ... SET "
        "transaction_timeout = 0.",
        "57P01": "An administrator ended the connection. Find out why.",
    }
)

_CLASSES = MappingProxyType(
    {
        "08": "The connection broke. Check the network and the server's log.",
        "22": "A value does not fit. Correct the data or the expression.",
        "23": "The data break a constraint. Correct them.",
        "42": "Correct the SQL.",
        "53": "The server lacks resources. Free them.",
        "57": "The server interrupted the statement. Look into its log.",
    }
)

# What ended a statement that only had to wait: it may do so again for as long as the others are there.
_WAITED_IN_VAIN = frozenset({"55P03", "57014"})

# Only the server's word of a row that is being written has a detail: ALTER TABLE's of those that are there has none.
_NOT_NULL = "23502"
_NO_VALUE = (
    "The statement gives no value for the column. Name the column and give it one, or give the column a DEFAULT first."
)

# Of what others use the server tells in a detail how many they are; of pending triggers it does not.
_IN_USE = "55006"
_USED_BY_OTHERS = (
    "Others are using it. Of a database see who:  SELECT pid, usename, application_name FROM pg_stat_activity WHERE "
    "datname = '...' , and let them leave; or write  DROP DATABASE ... WITH (FORCE) , which ends them."
)

STATES = tuple(_ADVICE)

_NOT_LENT = (
    "If a pooler (PgBouncer) stands between, its server may be down, or it has no connection left to give: a run "
    "needs two of them at the same time. Raise default_pool_size, or let runs connect past it by "
    'SQLMIGRATIONS["DIRECT"]. To wait for it: --wait-for-db 30'
)

_LIMITED = (
    "End connections of this {} or raise its limit, ALTER {} ... CONNECTION LIMIT; a run needs two at the same time. "
    "To wait for one: --wait-for-db 30"
)
_CROWDED = ("too many", "connection slots")

# A refused connection carries no SQLSTATE in every driver: the words of libpq and the server decide.
_CONNECTION = (
    ("refused", "Is the server running, and are HOST and PORT right? To wait for it: --wait-for-db 30"),
    ("no such file", "Is the server running, and is HOST the folder of its socket? To wait for it: --wait-for-db 30"),
    ("password authentication failed", "Check USER and PASSWORD of the database alias."),
    ("too many connections for role", _LIMITED.format("role", "ROLE")),
    ("too many connections for database", _LIMITED.format("database", "DATABASE")),
    ("no password supplied", "Set PASSWORD of the database alias, or a passfile in its OPTIONS."),
    ('role "', "Check USER of the database alias: the role has to exist, and to have LOGIN."),
    ("does not exist", "Create it (createdb), or check NAME and USER of the database alias."),
    ("starting up", "The server is starting. To wait for it: --wait-for-db 30"),
    ("could not translate host name", "Check HOST of the database alias."),
    ("failed to resolve host", "Check HOST of the database alias."),
    ("no answer within", f"Check HOST, PORT and the network between. {_NOT_LENT}"),
    ("query_wait_timeout", _NOT_LENT),
    ("server closed the connection", f"Look into the log of the server. {_NOT_LENT}"),
    (
        "unsupported startup parameter",
        "The pooler takes no OPTIONS for the server: connect past it by "
        'SQLMIGRATIONS["DIRECT"], or set them by ALTER ROLE.',
    ),
    ("timeout", "Check HOST, PORT and the network between. To wait for it: --wait-for-db 30"),
    *((word, "End idle connections or raise max_connections. To wait for one: --wait-for-db 30") for word in _CROWDED),
    ("pg_hba.conf", "The server does not let this user or host in: check pg_hba.conf, USER and sslmode."),
)

# Names are nobody's fault: a host may be called password-db.
_NAMED = re.compile(r'"[^"]*"')
# States of a server that pass by themselves.
_PASSING = frozenset({"57P03", "53300", "53400"})
# Who waits for the server is told of these at once.
_HOPELESS = (
    *("password", "does not exist", "not permitted", "permission denied", "pg_hba.conf", "certificate", "invalid"),
    *("definition of service", "authentication failed", "does not support"),
)


def advice(server: ServerError, blockers: Sequence[Blocker] = ()) -> str:
    """What to do about a failed statement, and the command that follows.

    Args:
        server: What it said.
        blockers: Who stood in the way of the statement, the nearest first.
    """
    if blockers and server.sqlstate in _WAITED_IN_VAIN:
        return f"{_way_free(blockers[0])} Then run  {APPLY}"
    if server.sqlstate == _NOT_NULL and server.detail:
        return f"{_NO_VALUE} Then run  {APPLY}"
    if server.sqlstate == _IN_USE and server.detail:
        return f"{_USED_BY_OTHERS} Then run  {APPLY}"
    fallback = _CLASSES.get("08" if server.lost else server.sqlstate[:2], "Correct the cause.")
    return f"{_ADVICE.get(server.sqlstate, fallback)} Then run  {APPLY}"


def on(database: str) -> str:
    """The option that names the database, where it has to be named."""
    return "" if database == "default" else f" --database {shlex.quote(database)}"


def migrate(app: str, name: str, database: str = "default") -> str:
    """The command by which Django applies its own migrations: all, those of an app, or those up to a name."""
    return " ".join([f"python manage.py migrate{on(database)}", *filter(None, (app, name))])


def addressed(text: str, database: str) -> str:
    """A text whose commands name the database, where it is another one than they work on by themselves."""
    return _OUR_COMMANDS.sub(lambda command: f"{command[0]}{on(database)}", text)


def operation(id: str) -> str:
    """How a migration of Django's applies the file of a migration, ``label.NNN_slug``."""
    label, _, name = id.partition(".")
    return f'ApplySQL("{label}", "{name}")'


def dbshell(sql: str) -> str:
    """The command that sends SQL by psql: in double quotes, which are easier to read, where nothing needs others."""
    word = shlex.quote(sql) if _SPECIAL.search(sql) else f'"{sql}"'
    return f"python manage.py dbshell -- -c {word}"


def repair(action: str, id: str, *options: str) -> str:
    """The command by which a person decides about the record of a migration, ``label.NNN_slug``."""
    label, _, name = id.partition(".")
    words = " ".join([action, label, name.partition("_")[0], *options])
    return f'python manage.py sqlmigrate_repair {words} --reason "..."'


def _way_free(blocker: Blocker) -> str:
    if not blocker.pid:
        gid = literal(blocker.query or "...")
        return f"End it: ROLLBACK PREPARED {gid} , or COMMIT PREPARED, by a superuser or the role that made it."
    return (
        f"Wait until pid {blocker.pid} has ended its transaction, or end it with  "
        f"SELECT pg_terminate_backend({blocker.pid}) , or choose a quieter time."
    )


def connection_advice(server: ServerError, *, waited: bool = False) -> str:
    """What to do about a refused connection, after waiting for the server or before."""
    words = server.message.lower()
    advised = next((text for word, text in _CONNECTION if word in words), "Check the settings of the database alias.")
    return advised.partition(" To wait for ")[0] if waited else advised


def is_crowded(server: ServerError) -> bool:
    """Whether only others had to leave, for a connection to be free."""
    return server.sqlstate == "53300" or any(word in server.message.lower() for word in _CROWDED)


def can_pass(server: ServerError) -> bool:
    """Whether waiting can cure a refused connection.

    Everything but what is known not to pass: most refusals carry no SQLSTATE, and a server may speak any language.
    """
    words = _NAMED.sub("", server.message.lower())
    return server.sqlstate in _PASSING or not any(word in words for word in _HOPELESS)

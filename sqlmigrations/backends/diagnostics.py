"""What a driver's exception says of a failure, whichever driver it is; secrets masked."""

from __future__ import annotations

from sqlmigrations.masking import mask
from sqlmigrations.types import ServerError


def sqlstate(error: BaseException | None) -> str:
    """The SQLSTATE of a driver's exception; empty where the server did not get to say one."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


def server_error(error: BaseException, lost: bool, secrets: frozenset[str]) -> ServerError:
    """What a driver's exception says, in words that may be shown.

    Args:
        error: Of psycopg2, psycopg 3, or of Django where it raised it by itself.
        lost: Whether the connection is gone.
        secrets: Never to be shown.
    """
    diagnostics = getattr(error, "diag", None)
    message = getattr(diagnostics, "message_primary", None) or _first_line(str(error))
    position = getattr(diagnostics, "statement_position", None)

    def said(attribute: str) -> str:
        return mask(getattr(diagnostics, attribute, None) or "", secrets)

    return ServerError(
        sqlstate=sqlstate(error),
        message=mask(message, secrets),
        detail=said("message_detail"),
        hint=said("message_hint"),
        context=said("context"),
        position=int(position) if position else None,
        lost=lost,
        table=f"{said('schema_name')}.{said('table_name')}" if said("table_name") else "",
        column=said("column_name"),
    )


def _first_line(text: str) -> str:
    """What a driver says without the server: libpq adds advice and further attempts in lines of their own."""
    return text.strip().partition("\n")[0].removeprefix("connection failed: ") or "the connection was lost"

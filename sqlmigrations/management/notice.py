"""Tells of pending SQL files when ``runserver`` starts, as and where Django tells of its own migrations.

Django looks for its unapplied migrations in the process that serves, on its default database, each time it starts to.
The connection it makes for that is the moment: what is pending is read over it, before Django goes on.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django.apps import apps
from django.core.management.color import color_style
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.signals import connection_created

_UID = "sqlmigrations.notice"


def connect() -> None:
    """Waits for that connection in a process that is going to serve; does nothing in any other one."""
    if _is_server():
        connection_created.connect(_tell, dispatch_uid=_UID)


def _is_server() -> bool:
    # As Django's own command line looks for it. With the reloader one process watches and its child serves.
    return sys.argv[1:2] == ["runserver"] and ("--noreload" in sys.argv or os.environ.get("RUN_MAIN") == "true")


def _tell(connection: Any, **_: Any) -> None:
    if connection.alias != DEFAULT_DB_ALIAS or connection.vendor != "postgresql" or not apps.ready:
        return
    # Whoever takes the receiver away is the one who tells: two threads may connect at the same time.
    if not connection_created.disconnect(dispatch_uid=_UID) or not (labels := pending()):
        return
    style = color_style()
    sys.stdout.write(
        style.NOTICE(
            f"\nYou have {len(labels)} unapplied SQL migration(s). Your project may not work properly until you apply "
            f"the migrations for label(s): {', '.join(dict.fromkeys(labels))}.\n"
        )
        + style.NOTICE("Run 'python manage.py sqlmigrate_apply' to apply them.\n")
    )


def pending() -> list[str]:
    """The label of each pending migration; none where that cannot be told: a check that is asked for says why."""
    # For start-up: most processes of a site never serve it in this way.
    from sqlmigrations.exceptions import SqlMigrationsError
    from sqlmigrations.executor import Executor
    from sqlmigrations.types import State

    try:
        status = Executor(DEFAULT_DB_ALIAS).status()
    except SqlMigrationsError:
        return []
    unapplied = (State.PENDING, State.LATE, State.PARTIAL)
    return [entry.label for entry in status.migrations if entry.state in unapplied]

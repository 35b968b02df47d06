"""What happens beside Django's ``migrate``: a test database gets the SQL files with everything else.

``APPLY_ON_MIGRATE`` says where. The engine is imported when it is needed: every process connects these receivers, and
few run ``migrate``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.management.base import OutputWrapper
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate, pre_migrate

from sqlmigrations import conf
from sqlmigrations.types import OnMigrate

if TYPE_CHECKING:
    from sqlmigrations.management.following import Following

# Migrations of Django's, and whether each is taken back.
Plan = Sequence[tuple[Any, bool]]
UID = "sqlmigrations.receivers"


def connect() -> None:
    """Starts listening; calling it again changes nothing."""
    pre_migrate.connect(apply_before, dispatch_uid=UID)
    post_migrate.connect(apply_rest, dispatch_uid=UID)


def apply_before(
    sender: AppConfig,
    using: str,
    verbosity: int,
    plan: Plan | None = None,
    stdout: OutputWrapper | None = None,
    **_: Any,
) -> None:
    """Applies what comes before the files that the migrations of Django's in the plan are going to apply.

    Raises:
        NotApplied: It failed; a ``CommandError`` whose message tells all there is to know.
    """
    if sender is not last_app():
        return
    if is_testing():
        _lead_along(using)
    if plan and _is_wanted(using, plan):
        _follow(using, verbosity, stdout).apply_before([migration for migration, _ in plan])


def apply_between(connection: BaseDatabaseWrapper, id: str, *, is_atomic: bool) -> None:
    """Applies what a file waits for and what had to wait for Django's migrations before this one.

    Args:
        connection: Of Django's, in the transaction of the migration that is about to apply the file, if it is one.
        id: The file.
        is_atomic: Whether the migration is one.

    Raises:
        NotApplied: It failed; a ``CommandError`` whose message tells all there is to know.
    """
    within_another = bool(connection.savepoint_ids) or connection.in_atomic_block != is_atomic
    if _is_on() and not within_another and _is_ours(connection.alias):
        _follow(connection.alias, 0, None).apply_between(id)


def apply_rest(
    sender: AppConfig,
    using: str,
    verbosity: int,
    plan: Plan | None = None,
    stdout: OutputWrapper | None = None,
    **_: Any,
) -> None:
    """Applies what is pending when ``migrate`` is through with all apps.

    ``flush`` sends the signal too, without a plan: it emptied tables, and none is missing.

    Raises:
        NotApplied: It failed; a ``CommandError`` whose message tells all there is to know.
    """
    if plan is not None and sender is last_app() and _is_wanted(using, plan):
        _follow(using, verbosity, stdout).apply_rest()


def last_app() -> AppConfig:
    """The signals are sent for each app, and the last one finds what all others made: content types, permissions."""
    return [config for config in apps.get_app_configs() if config.models_module is not None][-1]


def is_testing() -> bool:
    """Whether a test environment is set up: the two marks of it that Django documents."""
    mail = sys.modules.get("django.core.mail")
    return hasattr(mail, "outbox") and "testserver" in django_settings.ALLOWED_HOSTS


def _lead_along(alias: str) -> None:
    """Points the way of our runs to the test database: Django leads mirrors there only once it is migrated."""
    through = conf.way_to(alias)
    if (
        through is not None
        and through in list(connections)
        and connections[through].settings_dict["TEST"]["MIRROR"] == alias
    ):
        connections[through].creation.set_as_test_mirror(connections[alias].settings_dict)


def _is_wanted(alias: str, plan: Plan) -> bool:
    # Who is going back does not want to go forward, and who has a transaction open wants nothing committed.
    going_back = any(backwards for _, backwards in plan)
    return _is_on() and not going_back and not connections[alias].in_atomic_block and _is_ours(alias)


def _is_on() -> bool:
    chosen = conf.on_migrate()
    return chosen is OnMigrate.ALWAYS or (chosen is OnMigrate.TESTS and is_testing())


def _is_ours(alias: str) -> bool:
    return connections[alias].vendor == "postgresql" and not conf.is_mere_way(alias)


def _follow(alias: str, verbosity: int, stdout: OutputWrapper | None) -> Following:
    from sqlmigrations.management.following import Following

    return Following(alias, verbosity, stdout or OutputWrapper(sys.stdout), in_tests=is_testing())

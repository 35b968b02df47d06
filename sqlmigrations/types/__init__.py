"""The values everything else speaks in: frozen, without behaviour beyond naming themselves."""

from __future__ import annotations

from sqlmigrations.types.django import DjangoHistory, DjangoNode, Hold
from sqlmigrations.types.files import (
    TRACKING_LABEL,
    Allowance,
    Dependency,
    Direction,
    Directives,
    DjangoMigration,
    Mode,
    Source,
    SqlFile,
    SqlMigration,
)
from sqlmigrations.types.findings import UNAPPLIED, Finding, Severity
from sqlmigrations.types.running import (
    Audience,
    Blocker,
    Glimpse,
    OnMigrate,
    Outcome,
    Pooling,
    Result,
    Route,
    RunMode,
    ServerError,
)
from sqlmigrations.types.status import Applied, MigrationStatus, Progress, State, Status

__all__ = [
    "TRACKING_LABEL",
    "UNAPPLIED",
    "Allowance",
    "Applied",
    "Audience",
    "Blocker",
    "Dependency",
    "Direction",
    "Directives",
    "DjangoHistory",
    "DjangoMigration",
    "DjangoNode",
    "Finding",
    "Glimpse",
    "Hold",
    "MigrationStatus",
    "Mode",
    "OnMigrate",
    "Outcome",
    "Pooling",
    "Progress",
    "Result",
    "Route",
    "RunMode",
    "ServerError",
    "Severity",
    "Source",
    "SqlFile",
    "SqlMigration",
    "State",
    "Status",
]

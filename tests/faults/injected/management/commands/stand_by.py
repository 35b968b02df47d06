"""A process that stays: it performs commands as it is told to, each at a moment of the clock."""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.test import override_settings


class Command(BaseCommand):
    """Reads a line of JSON for each command, and answers with one."""

    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        for line in sys.stdin:
            self._be_within(told := json.loads(line))
            print("ready", flush=True)
            at = float(sys.stdin.readline())
            # The clock is the system's: all processes read the same.
            time.sleep(max(0.0, at - time.monotonic()))
            print(json.dumps(_performed(told)), flush=True)

    def _be_within(self, told: dict[str, Any]) -> None:
        """Django's connection is as it is in a process that has just started, and leads to the schema."""
        connection.close()
        connection.settings_dict["OPTIONS"]["options"] = f"-c search_path={told['schema']}"


def _performed(told: dict[str, Any]) -> dict[str, Any]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    settings = {"DIRS": {"project": Path(told["folder"])}, "SCHEMA": told["schema"], **told["settings"]}
    began = time.monotonic()
    with override_settings(SQLMIGRATIONS=settings):
        try:
            call_command(*told["arguments"], stdout=out, stderr=err, no_color=True)
        except CommandError as error:
            code = error.returncode
            err.write(str(error))
        except BaseException:
            code = -1
            err.write(traceback.format_exc())
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "seconds": time.monotonic() - began}

"""Commits the fault that the environment names, as soon as Django is ready."""

from __future__ import annotations

import os

from django.apps import AppConfig

from tests.faults.injected import injections


class InjectedConfig(AppConfig):
    name = "tests.faults.injected"

    def ready(self) -> None:
        fault = os.environ.get("FAULT")
        if fault:
            getattr(injections, fault)()

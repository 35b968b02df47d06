"""Which faults are tried on the older servers too: those whose end hangs on what the server does, by their rows."""

from __future__ import annotations

import re

import pytest

_ROWS = """
f03 f05 f06 f07 f11 f12 f13 f15 f16 f18 f19 f20 f22 f23 f24 f25 f26 f27 f28 f29 f30 f31 f34 f35 f38 f39 f40 f41 f42 f43
f44 f45 f46 f47 f48 f50 f58 f66 f77 f81
"""
_ROW = re.compile(r"test_(f\d\d)_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``pytest -m core`` picks them."""
    for item in items:
        named = _ROW.match(item.name)
        if named and named[1] in _ROWS:
            item.add_marker(pytest.mark.core)

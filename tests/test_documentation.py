"""The documents name everything there is, and nothing that is not."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal
from django.test import override_settings

import sqlmigrations
from benchmarks.report import IN_SHORT
from sqlmigrations import (
    admin,
    checks,
    conf,
    directives,
    exceptions,
    executor,
    guidance,
    lint,
    logs,
    operations,
    settings,
    signals,
    types,
)
from sqlmigrations.backends.locking import STATEMENTS, LockKey
from sqlmigrations.exceptions import ExitCode, SqlMigrationsError
from sqlmigrations.parser import sql_checksum
from sqlmigrations.text import CHECKSUM_ALGORITHM, checksum
from sqlmigrations.types import Result, Severity, SqlFile, State
from tests.site import ROOT, Site

TWO_COMMANDS = [
    'python3 -m venv .venv && .venv/bin/pip install -q -e ".[demo]" && .venv/bin/python manage.py sqlmigrate_apply',
    'python3 -m venv .venv && .venv/bin/pip install -q -e ".[dev]" && .venv/bin/pytest',
]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(name for name, app in get_commands().items() if app == "sqlmigrations")
README = (ROOT / "README.md").read_text()
COMMANDS_PAGE, FILES, SETTINGS, RULES, PYTHON, FORMATS, TROUBLES, ARCHITECTURE, BENCHMARKS = (
    (ROOT / "docs" / f"{name}.md").read_text()
    for name in (
        "commands",
        "files",
        "settings",
        "rules",
        "python",
        "formats",
        "troubleshooting",
        "architecture",
        "benchmarks",
    )
)
EVERYTHING = "\n".join(path.read_text() for path in DOCUMENTS)
MODULES = [path.relative_to(ROOT / "sqlmigrations") for path in (ROOT / "sqlmigrations").rglob("*.py")]


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    return re.split(rf"^#{{1,{level}}} ", text.partition(f"\n{heading}")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in a text by their first cell, without their headings."""
    bodies = re.findall(r"^\|[-| ]+\|\n((?:\|.*\n?)*)", text, re.MULTILINE)
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for body in bodies for line in body.splitlines()]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in cells}


def options(name: str) -> set[str]:
    """The options of a command beside those that every command of Django's has."""
    ours, theirs = (
        {option for action in command.create_parser("manage.py", name)._actions for option in action.option_strings}
        for command in (load_command_class("sqlmigrations", name), BaseCommand())
    )
    return ours - theirs


def anchors(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them out of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"(?s)```.*?```", "", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_two_commands_of_the_readme_are_those_that_ci_runs() -> None:
    # As .ci/run looks for them.
    found = [line.strip() for line in README.splitlines() if re.match(r" *python3 -m venv ", line)]

    assert found[:2] == TWO_COMMANDS
    assert "grep -E '^ *python3 -m venv ' README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_of_a_command_is_in_its_section(name: str) -> None:
    heading = f"## `python manage.py {name}"
    shared = COMMANDS_PAGE.partition("\n## ")[0]
    documented = rows(section(COMMANDS_PAGE, heading)) | rows(shared)
    named = {option for cell in documented for option in re.findall(r"--[\w-]+", cell)}
    parser = load_command_class("sqlmigrations", name).create_parser("manage.py", name)
    first_line = COMMANDS_PAGE.partition(f"\n{heading}")[2].partition("\n")[0]

    assert named == options(name)
    assert {action.dest for action in parser._actions if not action.option_strings} == set(
        re.findall(r"\w+", first_line)
    )


def test_every_setting_is_in_the_table_with_its_default() -> None:
    table = rows(SETTINGS)
    defaults = {key: ast.literal_eval(table[key][0].strip("`")) for key in settings.KEYS}

    assert set(table) == set(settings.KEYS)
    with override_settings(SQLMIGRATIONS=defaults):
        assert conf.load() == settings.Settings()


def test_every_directive_is_in_the_table_with_an_example_that_can_be_read() -> None:
    table = rows(section(FILES, "## Directives"))
    examples = [table[key][0].strip("`") for key in directives.DIRECTIVES]

    assert set(table) == set(directives.DIRECTIVES)
    faults = {fault.rule for example in examples for fault in directives.read(f"{example}\n")[1]}
    assert faults == set()
    assert all(f"`{key}`" in section(FORMATS, "## Directive grammar") for key in directives.DIRECTIVES)


def test_every_check_is_in_the_table_and_has_a_section_with_an_example() -> None:
    page = (ROOT / "docs" / "checks.md").read_text()
    table = {re.sub(r"\[`(.*)`\].*", r"\1", key): cells for key, cells in rows(page.partition("\n## ")[0]).items()}

    weights = {"E": "error", "W": "warning"}
    assert {key: cells[:2] for key, cells in table.items()} == {
        key: [weights[key[-4]], sentence] for key, sentence in checks.IDS.items()
    }
    for key in checks.IDS:
        assert f"({key})" in "".join(blocks(section(page, f"### {key}"), "text")), key


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_in_commands_troubleshooting_and_formats(code: ExitCode) -> None:
    assert rows(section(COMMANDS_PAGE, "## Exit codes"))[str(int(code))][0] == f"`{code.name}`"
    headings = [line for line in TROUBLES.splitlines() if line.startswith("### ")]
    assert any(re.search(rf"\b{int(code)}\b", heading) for heading in headings)
    assert re.search(rf"(^|, ){int(code)} ", section(FORMATS, "## Exit codes"), re.MULTILINE)


def test_every_rule_is_in_the_table_with_its_weight_and_summary() -> None:
    table = rows(RULES)

    assert table == {rule.id: [rule.severity.value, rule.summary] for rule in lint.RULES.values()}


def test_every_signal_is_in_the_table_with_its_arguments() -> None:
    table = rows(section(PYTHON, "## Signals"))
    sent = re.findall(r"^\* ``(\w+)``: (.*)$", signals.__doc__ or "", re.MULTILINE)

    assert set(table) == {name for name, value in vars(signals).items() if type(value) is Signal}
    for name, arguments in sent:
        assert set(re.findall(r"``(\w+)``", arguments)) <= set(re.findall(r"`(\w+)`", table[name][0]))


def test_every_error_is_in_the_table_with_its_exit_code() -> None:
    errors = {
        value.__name__: str(int(value.exit_code))
        for value in vars(exceptions).values()
        if isinstance(value, type) and issubclass(value, SqlMigrationsError)
    }
    table = rows(section(PYTHON, "## Errors"))

    # The base has that of whoever is raised.
    assert {name: cells[0] for name, cells in table.items()} == errors | {"SqlMigrationsError": ""}


def test_every_public_name_is_in_the_table_and_can_be_imported() -> None:
    table = rows(section(PYTHON, "## What is public"))
    public = {module: re.findall(r"`(\w+)`", cells[0]) for module, cells in table.items()}

    assert len(public) >= 10
    for module, names in public.items():
        missing = [name for name in names if not hasattr(import_module(module), name)]
        assert missing == [], module
    for module in (executor, operations, admin):
        names = [name for name in module.__all__ if not name.isupper()]
        assert set(public[module.__name__]) == set(names)
    values = re.findall(r"`([A-Z]\w+)`", section(PYTHON, "## Values"))
    assert [name for name in values if name not in types.__all__] == []


def test_every_field_of_a_log_record_is_in_its_section() -> None:
    assert [field for field in logs._FIELDS if f"`{field}`" not in section(PYTHON, "## Logging")] == []


def test_every_state_result_and_severity_is_documented() -> None:
    states = rows(section(COMMANDS_PAGE, "### States"))

    assert {state.value for state in State} == set(states)
    json_keys = section(FORMATS, "## JSON")
    assert [value for value in (*Result, *Severity) if f"`{value.value}`" not in json_keys] == []


def test_every_sqlstate_that_is_advised_on_is_in_troubleshooting() -> None:
    assert set(guidance.STATES) - set(rows(section(TROUBLES, "## By SQLSTATE"))) == set()


def test_every_word_in_brackets_that_is_documented_exists() -> None:
    sources = "\n".join((ROOT / "sqlmigrations" / path).read_text() for path in MODULES)
    words = set(rows(section(TROUBLES, "## By the word in brackets")))

    assert [word for word in words if not re.search(rf'["\s]{word}["\s]', sources)] == []


def test_the_errors_that_nothing_allows_are_those_in_brackets() -> None:
    table = rows(section(TROUBLES, "## By the word in brackets"))

    assert {word for word, cells in table.items() if cells[0] != "0"} - lint.RULES.keys() == lint.FIRM


def test_every_module_is_in_the_picture_of_the_layers() -> None:
    picture = section(ARCHITECTURE, "## Layers")
    shown = {
        path.with_suffix("").as_posix()
        for path in MODULES
        if path.name != "__init__.py" and path.parts[0] not in ("lint", "migrations")
    }

    missing = [name for name in sorted(shown) if not re.search(rf"\b{name.rpartition('/')[2]}\b", picture)]
    assert missing == []


def test_no_document_names_a_command_or_option_that_is_not_there() -> None:
    known = {name: options(name) for name in COMMANDS}
    everywhere = {option for name in COMMANDS for option in options(name)}

    assert set(re.findall(r"sqlmigrate_\w+", EVERYTHING)) == set(COMMANDS)
    assert set(re.findall(r"manage\.py (\w+)", EVERYTHING)) - {"test"} <= set(get_commands())
    for name, rest in re.findall(r"manage\.py (sqlmigrate_\w+)([^`\n]*)", EVERYTHING):
        assert set(re.findall(r"(?<!\w)--[\w-]+", rest)) <= known[name], rest
    assert {"--plan", "--check", "--down"} <= everywhere


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    prose = re.sub(r"(?s)```.*?```", "", path.read_text())
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        page = (path.parent / file).resolve() if file else path
        if not page.is_file() or (anchor and anchor not in anchors(page)):
            broken.append(target)

    assert broken == []


def test_the_examples_in_python_can_be_compiled() -> None:
    examples = blocks(EVERYTHING, "python")

    assert len(examples) >= 5
    for example in examples:
        compile(example, "<documentation>", "exec")


def test_the_readme_has_the_figures_that_the_benchmark_wrote() -> None:
    written, told = (re.findall(IN_SHORT, text) for text in (BENCHMARKS, README))

    assert len(written) == 1
    assert told == written


def test_every_page_has_one_line_in_the_table_of_the_readme() -> None:
    table = section(README, "## Documentation")
    lines = re.findall(r"^\| \[[^\]]+\]\(([\w./-]+)\) \| \S.* \|$", table, re.MULTILINE)

    assert sorted(ROOT / line for line in lines) == sorted(path for path in DOCUMENTS if path.name != "README.md")


def test_the_checksums_of_the_example_are_what_the_code_says() -> None:
    part = section(FORMATS, "## What is hashed")
    text = blocks(part, "sql")[0]
    file = SqlFile("x", "x", text, checksum(text), checksum(text))

    assert re.findall(r"`([0-9a-f]{64})`", part) == [checksum(text), sql_checksum(file)]
    assert f"`{CHECKSUM_ALGORITHM}`" in part


def test_the_lock_key_is_what_the_code_says() -> None:
    keys = LockKey.of("public"), LockKey.of("public", STATEMENTS)

    lock = section(FORMATS, "## The lock")
    assert all(str(number) in lock for key in keys for number in (key.value, key.classid, key.objid))


def test_every_column_of_the_tracking_tables_is_in_formats(site: Site) -> None:
    site.run("sqlmigrate_apply", check=True)

    columns = site.query(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_name LIKE 'schema_migration%'"
    )
    tables = re.split(r"\n`(?=schema_migration)", section(FORMATS, "## Tables"))[1:]
    documented = {
        (part.partition("`")[0], column.strip("` "))
        for part in tables
        for cell in rows(part)
        for column in cell.split(",")
    }
    assert documented == {(str(table), str(column)) for table, column in columns}


def keys(value: Any) -> Iterator[str]:
    """All keys of a JSON document."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from keys(entry)


def test_every_key_of_the_json_documents_is_in_formats(site: Site) -> None:
    site.write("001_invoices.sql", "CREATE TABLE invoices (number text);\n")
    site.write("002_due.sql", "ALTER TABLE invoices ADD COLUMN due date;\nCREATE INDEX ON invoices (due);\n")
    calls = [
        ("sqlmigrate_new", "project", "later"),
        ("sqlmigrate_apply", "project", "001"),
        ("sqlmigrate_apply", "--plan"),
        ("sqlmigrate_apply",),
    ]
    documents = [json.loads(site.run(*call, "--format", "json").stdout) for call in calls]
    site.write("001_invoices.sql", "CREATE TABLE invoices (number bigint);\n")
    documents.append(json.loads(site.run("sqlmigrate_status", "--format", "json").stdout))
    site.write("001_invoices.sql", "CREATE TABLE invoices (number text);\n")
    site.write("004_wrong.sql", "SELEC 1;\n")
    documents.append(json.loads(site.run("sqlmigrate_apply", "--format", "json").stdout))

    part = section(FORMATS, "## JSON")
    met = {key for document in documents for key in keys(document)}
    assert [document.get("exit_code") for document in documents] == [None, 0, 0, 0, None, 1]
    assert {"remedy", "sqlstate", "rollback_ready", "files"} <= met
    assert {key for key in met if f"`{key}`" not in part} == set()


def test_the_example_in_python_prints_what_it_says(site: Site) -> None:
    site.write("001_invoices.sql", "CREATE TABLE invoices (number text);\n")
    site.write("002_vendors.sql", "CREATE TABLE vendors (name text);\n")
    site.write("003_items.sql", "CREATE TABLE items (price numeric);\n")
    site.run("sqlmigrate_apply", check=True)
    site.write("004_invoice_search.sql", "ALTER TABLE invoices ADD COLUMN search tsvector;\n")
    part = PYTHON.partition("\n## ")[0]
    program = "".join(blocks(part, "python"))

    printed = [_output(site, program)]
    site.query("DELETE FROM schema_migrations WHERE name = '004_invoice_search'")
    printed.append(_output(site, program))

    assert printed == blocks(part, "text")


def _output(site: Site, program: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=site.folder, env=site.environment(), capture_output=True, text=True
    )
    return ended.stdout + ended.stderr


def test_no_document_tells_a_number_that_grows_with_every_test() -> None:
    assert re.findall(r"\d+ (?:passed|tests)\b", EVERYTHING) == []


def test_the_version_stands_where_it_is_looked_for() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", sqlmigrations.__version__)
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()

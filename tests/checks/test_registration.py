"""Which system checks there are, and when Django runs them."""

from __future__ import annotations

import re

import django
import pytest
from django.core import checks
from django.db import connections
from django.test.utils import CaptureQueriesContext

from sqlmigrations.checks import IDS, TAG
from tests.inprocess import LocalSite

# Since 6.1 a tag chooses database checks too, and all databases with them.
TAGS_CHOOSE_DATABASES = django.VERSION >= (6, 1)


def test_no_database_is_touched_unless_it_is_asked_for(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with local_site.configured(), CaptureQueriesContext(connections["default"]) as queries:
        everything = checks.run_checks()
        deploy = checks.run_checks(include_deployment_checks=True)
        by_tag = checks.run_checks(tags=[checks.Tags.files])

    assert len(queries) == 0
    assert [message.id for found in (everything, deploy, by_tag) for message in found if _is_ours(message)] == []


def test_a_database_that_is_asked_for_is_looked_into(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with local_site.configured():
        by_tag = checks.run_checks(tags=[TAG], databases=["default"])
        everything = checks.run_checks(databases=["default"])

    assert [message.id for message in by_tag] == ["sqlmigrations.W001"]
    assert [message.id for message in everything if _is_ours(message)] == ["sqlmigrations.W001"]


@pytest.mark.parametrize("tag", [TAG, checks.Tags.database])
def test_a_tag_alone_means_what_it_means_to_django(local_site: LocalSite, tag: str) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with local_site.configured():
        found = checks.run_checks(tags=[tag])

    assert [message.id for message in found] == (["sqlmigrations.W001"] if TAGS_CHOOSE_DATABASES else [])


def test_the_gate_fails_for_what_is_pending_and_only_for_that(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    gate = ("check", "--database", "default", "--tag", TAG, "--fail-level", "WARNING")

    before = local_site.run(*gate)
    local_site.run("sqlmigrate_apply", check=True)
    after = local_site.run(*gate)

    assert (before.returncode, after.returncode) == (1, 0)


def test_every_id_is_of_its_weight_and_has_a_sentence() -> None:
    assert list(IDS) == sorted(IDS)
    assert all(re.fullmatch(r"sqlmigrations\.[EW]\d{3}", check_id) for check_id in IDS)
    assert all(sentence.endswith(".") for sentence in IDS.values())


def _is_ours(message: checks.CheckMessage) -> bool:
    return str(message.id).startswith("sqlmigrations.")

"""A site that has django-linear-migrations and django-migration-linter as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site import Site

SETTINGS = """
from tests.site_settings import *

INSTALLED_APPS = ["django_linear_migrations", "django_migration_linter", "sqlmigrations", "shop"]
FIRST_PARTY_APPS = ["shop"]  # our checkout would count as one, an installed package does not
"""
MODEL = "from django.db import models\n\n\nclass Order(models.Model):\n    number = models.IntegerField()\n"
INITIAL = """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
            ],
        )
    ]
"""
FOLLOWING = """
from django.db import migrations
from django_migration_linter import IgnoreMigration
from sqlmigrations.operations import ApplySQL


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [{operations}]
"""
APPLYING = 'ApplySQL("project", "001_totals")'
TOTALS = """-- runs-in: django:shop.0002_totals
CREATE TABLE totals (
    id bigint NOT NULL,
    CHECK (id > 0)
);
COPY totals FROM stdin;
1
\\.
"""


class Shop:
    """A site with the app ``shop``, whose commands run with all that is installed."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.package = site.folder / "shop"
        self.migrations = self.package / "migrations"
        self.migrations.mkdir(parents=True)
        (site.folder / "beside.py").write_text(SETTINGS)
        (self.package / "__init__.py").touch()
        (self.package / "models.py").write_text(MODEL)
        (self.migrations / "__init__.py").touch()
        self.write("0001_initial", INITIAL)

    def write(self, name: str, text: str) -> None:
        """A migration of Django's, from now on the last one."""
        (self.migrations / f"{name}.py").write_text(text)
        self.last.write_text(f"{name}\n")

    @property
    def last(self) -> Path:
        return self.migrations / "max_migration.txt"

    def run(self, *arguments: str, code: int = 0) -> str:
        """What a command says on both streams, having ended with that code."""
        ended = self.site.run(*arguments, env={"DJANGO_SETTINGS_MODULE": "beside"})
        assert ended.returncode == code, ended
        return ended.stdout + ended.stderr

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.migrations.glob("0*.py"))


@pytest.fixture
def shop(site: Site) -> Shop:
    return Shop(site)


def test_a_wrapper_stands_in_the_line_of_linear_migrations(shop: Shop) -> None:
    shop.run("sqlmigrate_new", "project", "totals", "--django", "shop")
    assert shop.last.read_text() == "0002_totals\n"

    (shop.package / "models.py").write_text(f"{MODEL}    name = models.TextField(null=True)\n")
    # Stopped by the checks of both, were there anything to say.
    shop.run("makemigrations", "shop", "--name", "order_name")
    shop.run("migrate", "--verbosity", "0")

    assert shop.names() == ["0001_initial", "0002_totals", "0003_order_name"]
    assert "('shop', '0002_totals')" in (shop.migrations / "0003_order_name.py").read_text()
    assert shop.last.read_text() == "0003_order_name\n"
    assert [row["name"] for row in shop.site.ledger()] == ["000_migration_tracking", "001_totals"]


def test_a_wrapper_that_a_rebase_renamed_still_applies_its_file(shop: Shop) -> None:
    shop.site.write("001_totals.sql", TOTALS)
    shop.write("0002_other", FOLLOWING.format(operations=""))
    shop.write("0002_totals", FOLLOWING.format(operations=APPLYING))
    shop.last.write_text("<<<<<<< HEAD\n0002_other\n=======\n0002_totals\n>>>>>>> totals\n")

    shop.run("rebase_migration", "shop")
    waiting = shop.run("sqlmigrate_apply")
    shop.run("migrate", "--verbosity", "0", "shop", "0003")

    assert shop.names() == ["0001_initial", "0002_other", "0003_totals"]
    assert "Next: python manage.py migrate shop 0003\n" in waiting
    assert [row["name"] for row in shop.site.ledger()] == ["000_migration_tracking", "001_totals"]


def test_the_linter_reads_the_sql_of_a_wrapped_file_line_by_line_unless_told_not_to(shop: Shop) -> None:
    shop.site.write("001_totals.sql", TOTALS)
    shop.write("0002_totals", FOLLOWING.format(operations=APPLYING))

    found = shop.run("lintmigrations", "--no-cache", code=1)
    shop.write("0002_totals", FOLLOWING.format(operations=f"IgnoreMigration(), {APPLYING}"))
    passed = shop.run("lintmigrations", "--no-cache")

    assert "(shop, 0002_totals)... ERR\n\tNOT NULL constraint on columns\n" in found
    assert "(shop, 0002_totals)... IGNORE\n" in passed
    assert "(sqlmigrations, 0001_initial)... OK\n" in passed
    assert shop.site.query("SELECT to_regclass('totals'), to_regclass('schema_migrations')") == [(None, None)]

"""The skeleton sqlmigrate_new writes, and what it refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings

import sqlmigrations
from tests.django_apps import DjangoApp
from tests.inprocess import LocalSite

UP = """\
-- Invoice search.
{directives}--
-- The file runs in one transaction: no BEGIN or COMMIT in it. Other lines that may stand here:
--   "lock-timeout" (such as 3s), "statement-timeout" (such as 15min), "allow" (a rule and why it is fine here).

"""


def test_the_first_one_of_a_folder(local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_new", "project", "invoice_search", check=True)

    assert ended.stdout == (
        "Wrote migrations_sql/001_invoice_search.sql\n"
        "Next: write your SQL into it, then look at  python manage.py sqlmigrate_apply --plan\n"
    )
    assert os.listdir(local_site.migrations) == ["001_invoice_search.sql"]
    assert (local_site.migrations / "001_invoice_search.sql").read_text() == UP.format(directives="")


def test_the_next_one_takes_the_next_number_and_depends_on_the_last(local_site: LocalSite) -> None:
    local_site.write("009_x.sql", "SELECT 1;")
    local_site.write("0041_y.sql", "SELECT 1;")

    local_site.run("sqlmigrate_new", "project", "Invoice search!", "--down", check=True)

    written = local_site.migrations / "0042_invoice_search.sql"
    assert written.read_text() == UP.format(directives="-- depends: 0041_y\n")
    down = local_site.migrations / "0042_invoice_search.down.sql"
    assert down.read_text() == "-- Undoes 0042_invoice_search.sql.\n\n"


def test_it_does_not_depend_on_a_file_of_another_database(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "SELECT 1;")
    local_site.write("002_b.sql", "-- database: reporting\nSELECT 1;")

    local_site.run("sqlmigrate_new", "project", "Invoice search", check=True)

    assert (local_site.migrations / "003_invoice_search.sql").read_text() == UP.format(
        directives="-- depends: 001_a\n"
    )


def test_what_was_written_is_a_migration_that_applies_as_empty(local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_new", "project", "one", "--down", check=True)
    local_site.run("sqlmigrate_new", "project", "two", check=True)

    local_site.run("sqlmigrate_apply", check=True)

    assert [row["name"] for row in local_site.ledger()[1:]] == ["001_one", "002_two"]


def test_the_paths_in_json(local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_new", "project", "x", "--down", "--format", "json", check=True)

    assert json.loads(ended.stdout) == {
        "schema": 1,
        "database": "default",
        "files": ["migrations_sql/001_x.sql", "migrations_sql/001_x.down.sql"],
    }


def test_a_label_that_does_not_exist_is_refused_with_those_that_do(local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_new", "projct", "x")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "There is no source with the label 'projct'.\n\n"
        "  Next: Did you mean project? The labels are: project. "
        "An app gets one by a folder migrations_sql, a site by SQLMIGRATIONS['DIRS'].\n"
    )


def test_nothing_is_written_into_the_package_itself(local_site: LocalSite) -> None:
    folder = Path(sqlmigrations.__file__).parent / "migrations_sql"
    before = os.listdir(folder)

    ended = local_site.run("sqlmigrate_new", "sqlmigrations", "x")

    assert ended.returncode == 2
    assert ended.stderr == (
        "sqlmigrations is the label of the files that come with the package; yours would be lost with an update.\n\n"
        "  Next: Choose one of your own: project.\n"
    )
    assert os.listdir(folder) == before


def test_another_database_is_named_in_the_file_and_in_what_comes_next(
    local_site: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES, "reporting", settings.DATABASES["default"])

    ended = local_site.run("sqlmigrate_new", "project", "sums", "--database", "reporting", check=True)

    assert ended.stdout == (
        "Wrote migrations_sql/001_sums.sql\n"
        "Next: write your SQL into it, then look at  "
        "python manage.py sqlmigrate_apply --database reporting --plan\n"
    )
    written = local_site.migrations / "001_sums.sql"
    assert written.read_text() == UP.format(directives="-- database: reporting\n").replace("Invoice search", "Sums")


def test_a_database_that_does_not_exist_is_refused(local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_new", "project", "x", "--database", "other")

    assert (ended.returncode, os.listdir(local_site.migrations)) == (2, [])
    assert ended.stderr == "There is no database 'other'.\n\n  Next: The aliases are: default.\n"


@pytest.mark.parametrize(
    ("typed", "slug"),
    [("004_foo", "foo"), ("004_foo.sql", "foo"), ("2fa_tokens", "2fa_tokens"), ("004", "004"), ("004_", "004")],
)
def test_a_number_that_was_typed_is_not_part_of_the_name(local_site: LocalSite, typed: str, slug: str) -> None:
    local_site.run("sqlmigrate_new", "project", typed, check=True)

    assert os.listdir(local_site.migrations) == [f"001_{slug}.sql"]


def test_a_slug_without_a_letter_is_refused(local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_new", "project", "!?")

    assert ended.returncode == 2
    assert ended.stderr == "'!?' makes no name.\n\n  Next: Write what the migration does: invoice_search\n"


def test_a_file_that_is_there_is_not_overwritten(local_site: LocalSite) -> None:
    local_site.write("001_x.down.sql", "-- mine")

    ended = local_site.run("sqlmigrate_new", "project", "x", "--down")

    assert ended.returncode == 2
    assert ended.stderr == (
        "migrations_sql/001_x.down.sql is there already. Nothing was written.\n\n  Next: Choose another name.\n"
    )
    assert os.listdir(local_site.migrations) == ["001_x.down.sql"]
    assert (local_site.migrations / "001_x.down.sql").read_text() == "-- mine"


@pytest.mark.parametrize("name", ["003_x.SQL", "7.sql"])
def test_files_that_are_not_in_order_are_none_of_its_business(local_site: LocalSite, name: str) -> None:
    local_site.write(name, "SELECT 1;")

    assert local_site.run("sqlmigrate_new", "project", "y").returncode == 0


def test_a_folder_that_cannot_be_written_to_is_told(local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_new", "project", "x" * 300)

    assert ended.returncode == 2
    assert ended.stderr.endswith(".sql could not be written: File name too long.\n")


WRAPPER = """\
from django.db import migrations

from sqlmigrations.operations import ApplySQL


class Migration(migrations.Migration):
    dependencies = [
{dependencies}    ]

    operations = [
        # What the file means for the models, if anything, goes into state_operations=[...].
        ApplySQL("project", "{name}"),
    ]
"""


@pytest.fixture
def shop(local_site: LocalSite) -> Iterator[DjangoApp]:
    """An app with two migrations."""
    app = DjangoApp(local_site.folder, "shop")
    app.chain("0001_initial", "0002_prices")
    with app.installed():
        yield app


def test_the_migration_of_django_that_applies_it(shop: DjangoApp, local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_new", "project", "search", "--django", "shop", check=True)

    assert ended.stdout == (
        "Wrote migrations_sql/001_search.sql\n"
        "Wrote shop/migrations/0003_search.py\n"
        "Next: write your SQL into it, then look at  python manage.py sqlmigrate shop 0003_search\n"
    )
    written = (local_site.migrations / "001_search.sql").read_text()
    assert written.startswith("-- Search.\n-- runs-in: django:shop.0003_search\n--\n")
    dependencies = '        ("shop", "0002_prices"),\n'
    assert (shop.migrations / "0003_search.py").read_text() == WRAPPER.format(
        dependencies=dependencies, name="001_search"
    )


def test_it_comes_after_what_the_files_before_it_name_of_django(shop: DjangoApp, local_site: LocalSite) -> None:
    blog = DjangoApp(local_site.folder, "blog")
    blog.chain("0001_initial", "0002_tags", "0003_likes")
    local_site.write(
        "001_a.sql", "-- depends: django:blog.0001_initial, django:shop.0001_initial, django:gone.0001_x\n"
    )
    local_site.write("002_b.sql", "-- runs-in: django:blog.0002_tags\nSELECT 1;\n")

    with blog.installed():
        local_site.run("sqlmigrate_new", "project", "search", "--django", "shop", check=True)

    dependencies = '        ("shop", "0002_prices"),\n        ("blog", "0002_tags"),\n'
    assert (shop.migrations / "0003_search.py").read_text() == WRAPPER.format(
        dependencies=dependencies, name="003_search"
    )


def test_a_file_before_it_that_waits_for_all_of_the_app_is_refused(shop: DjangoApp, local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "-- depends: django:shop.__latest__\nSELECT 1;\n")

    ended = local_site.run("sqlmigrate_new", "project", "search", "--django", "shop")

    assert (ended.returncode, ended.stderr) == (
        2,
        "project.001_a depends on django:shop.__latest__, and the new migration would be one of those. "
        "Nothing was written.\n\n"
        "  Next: Name in migrations_sql/001_a.sql the migration that it needs: -- depends: django:shop.0002_prices\n",
    )
    assert not (shop.migrations / "0003_search.py").exists()


def test_the_newest_migration_is_named_where_django_linear_migrations_looks(
    shop: DjangoApp, local_site: LocalSite
) -> None:
    (shop.migrations / "max_migration.txt").write_text("0002_prices\n")

    ended = local_site.run("sqlmigrate_new", "project", "search", "--django", "shop", "--format", "json", check=True)

    assert (shop.migrations / "max_migration.txt").read_text() == "0003_search\n"
    assert json.loads(ended.stdout)["files"] == [
        "migrations_sql/001_search.sql",
        "shop/migrations/0003_search.py",
        "shop/migrations/max_migration.txt",
    ]


def refused(site: LocalSite, app: str) -> str:
    ended = site.run("sqlmigrate_new", "project", "search", "--django", app)
    assert (ended.returncode, os.listdir(site.migrations)) == (2, [])
    return ended.stderr


def test_an_app_that_is_not_installed_is_refused(shop: DjangoApp, local_site: LocalSite) -> None:
    told = refused(local_site, "shpo")

    assert told.startswith("No app with the label 'shpo' is installed.\n\n  Next: Did you mean shop? The labels are: ")


def test_an_app_without_migrations_is_refused(shop: DjangoApp, local_site: LocalSite) -> None:
    bare = DjangoApp(local_site.folder, "bare")
    (bare.migrations / "__init__.py").unlink()
    bare.migrations.rmdir()

    with bare.installed():
        told = refused(local_site, "bare")

    assert told == (
        "bare has no migrations. Nothing was written.\n\n"
        "  Next: Make its first one:  python manage.py makemigrations --empty bare\n"
    )


def test_an_app_whose_migrations_are_switched_off_is_refused(shop: DjangoApp, local_site: LocalSite) -> None:
    with override_settings(MIGRATION_MODULES={"shop": None}):
        told = refused(local_site, "shop")

    assert told.startswith("The migrations of shop are switched off in MIGRATION_MODULES. Nothing was written.")


def test_an_app_with_two_newest_migrations_is_refused(shop: DjangoApp, local_site: LocalSite) -> None:
    shop.write("0002_other", after=[("shop", "0001_initial")])

    told = refused(local_site, "shop")

    assert told == (
        "shop has two newest migrations: 0002_other and 0002_prices. Nothing was written.\n\n"
        "  Next: python manage.py makemigrations --merge shop\n"
    )


def test_an_app_of_an_installed_package_is_refused(local_site: LocalSite) -> None:
    told = refused(local_site, "auth")

    assert told.startswith(
        "The migrations of auth belong to an installed package; yours would be lost with an update."
    )


def test_migrations_that_cannot_be_loaded_are_told(shop: DjangoApp, local_site: LocalSite) -> None:
    (shop.migrations / "0003_broken.py").write_text("import nowhere")

    told = refused(local_site, "shop")

    assert told.startswith("Django's migrations cannot be looked at: ModuleNotFoundError: No module named 'nowhere'.")


def test_nothing_is_left_when_not_all_can_be_written(shop: DjangoApp, local_site: LocalSite) -> None:
    # A name that is long enough to be too long with the four digits of Django, and not with the one of ours.
    local_site.write("1_a.sql", "SELECT 1;\n")

    ended = local_site.run("sqlmigrate_new", "project", "x" * 248, "--django", "shop")

    assert (ended.returncode, os.listdir(local_site.migrations)) == (2, ["1_a.sql"])
    assert ended.stderr.endswith(".py could not be written: File name too long.\n")

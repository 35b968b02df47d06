"""What is left to migrate, what is held back with it, and what has to come before."""

from __future__ import annotations

from typing import Any

import pytest

from sqlmigrations.exceptions import IntegrityError
from sqlmigrations.pending import Terms
from sqlmigrations.plan import Plan
from sqlmigrations.planning import build
from sqlmigrations.settled import asks_django
from sqlmigrations.target import Target
from sqlmigrations.types import Applied, DjangoHistory, DjangoMigration, DjangoNode, Hold, SqlMigration, State
from tests.samples import loaded, migration, row

ONE = migration("project.001_a")
TWO = migration("project.002_b", "-- runs-in: django:shop.0004_prices\nSELECT 1;\n")
THREE = migration("project.003_c")
AFTER = migration("blog.001_x", "-- depends: project.003_c\nSELECT 1;\n")
BESIDE = migration("cart.001_x")
WRAPPED = Hold("project.002_b", DjangoMigration("shop", "0004_prices", 1), "python manage.py migrate shop 0004")


def history(
    *applied: str, wrappers: dict[str, tuple[tuple[str, str], ...]] | None = None, **more: Any
) -> DjangoHistory:
    names = ("0001_initial", "0003_taxes", "0004_prices")
    nodes = {("shop", name): DjangoNode("shop", name[:4], name in applied) for name in names}
    nodes["shop", "__latest__"] = DjangoNode("shop", "", len(applied) == len(names))
    known = {"project.002_b": (("shop", "0004_prices"),)} if wrappers is None else wrappers
    parents = {("shop", "0004_prices"): (("shop", "0003_taxes"),), ("shop", "__latest__"): (("shop", "0004_prices"),)}
    return DjangoHistory(
        **{"nodes": nodes, "parents": parents, "migrated": frozenset({"shop"}), "wrappers": known, **more}
    )


def plan(
    *files: SqlMigration,
    applied: tuple[Applied, ...] = (),
    target: Target | None = None,
    django: DjangoHistory | None = None,
    database: str = "default",
    **terms: Any,
) -> Plan:
    given = Terms(database, ("default", "reporting"), django=django or history(), **terms)
    return build(loaded(*files), applied, given, target or Target())


def steps(found: Plan) -> list[str]:
    assert found.refusal() is None, found.disagreements
    return [step.migration.id for step in found.steps]


def held(found: Plan) -> dict[str, tuple[State, Hold | None]]:
    return {entry.id: (entry.state, entry.hold) for entry in found.held}


def told(found: Plan) -> list[tuple[str, int | None, str, str]]:
    return [(f.rule, f.line, f.message, f.remedy) for f in found.disagreements]


def on(line: str, id: str = "project.001_a") -> SqlMigration:
    return migration(id, f"-- why\n-- {line}\nSELECT 1;\n")


def test_a_file_that_runs_in_a_migration_waits_and_what_comes_after_it_is_held_back() -> None:
    found = plan(ONE, TWO, THREE, AFTER, BESIDE)

    assert steps(found) == ["project.001_a", "cart.001_x"]
    assert held(found) == {
        "project.002_b": (State.WAITING, WRAPPED),
        "project.003_c": (State.PENDING, WRAPPED),
        "blog.001_x": (State.PENDING, WRAPPED),
    }


def test_what_is_held_back_is_of_the_target_only() -> None:
    assert held(plan(ONE, TWO, THREE, target=Target("project", "001"))) == {}
    assert list(held(plan(ONE, TWO, THREE, target=Target("project", "002")))) == ["project.002_b"]
    assert steps(plan(ONE, TWO, THREE, target=Target("project", "002"))) == ["project.001_a"]


def test_once_it_is_recorded_the_others_run() -> None:
    found = plan(ONE, TWO, THREE, applied=(row(ONE), row(TWO)), django=history("0001_initial", "0004_prices"))

    assert (steps(found), held(found)) == (["project.003_c"], {})


def test_where_the_app_has_no_migrations_it_is_a_file_like_any_other() -> None:
    bare = history(nodes={}, migrated=frozenset(), unmigrated=frozenset({"shop"}), wrappers={})
    needy = migration("project.003_c", "-- depends: django:shop.0009_x, django:shop.__latest__\nSELECT 1;\n")

    assert steps(plan(ONE, TWO, needy, django=bare)) == ["project.001_a", "project.002_b", "project.003_c"]


def test_a_file_below_an_applied_number_is_late_though_migrate_is_to_apply_it() -> None:
    found = plan(ONE, TWO, THREE, applied=(row(ONE), row(THREE)))

    assert [(f.rule, f.migration) for f in found.disagreements] == [("late", "project.002_b")]
    assert steps(plan(ONE, TWO, THREE, applied=(row(ONE), row(THREE)), allow_late=True)) == []


def test_what_depends_on_an_applied_migration_runs() -> None:
    needy = on("depends: django:shop.0003_taxes, django:shop.0001_initial")

    assert steps(plan(needy, django=history("0001_initial", "0003_taxes"))) == ["project.001_a"]


@pytest.mark.parametrize(
    ("name", "database", "command"),
    [
        ("0003_taxes", "default", "python manage.py migrate shop 0003"),
        ("0003_taxes", "reporting", "python manage.py migrate --database reporting shop 0003"),
        ("__latest__", "default", "python manage.py migrate shop"),
    ],
)
def test_what_depends_on_an_unapplied_migration_stops_everything(name: str, database: str, command: str) -> None:
    found = plan(BESIDE, on(f"depends: django:shop.{name}"), database=database, django=history("0001_initial"))

    refusal = found.refusal()
    assert isinstance(refusal, IntegrityError)
    assert refusal.message == "Migrations of Django's have to be applied first; nothing has run."
    message = f"Depends on django:shop.{name}, which is not applied on {database!r}."
    assert told(found) == [("unapplied-dependency", 2, message, command)]


def test_what_is_held_back_may_depend_on_what_is_not_applied_yet() -> None:
    needy = on("depends: django:shop.0004_prices", "project.003_c")

    assert list(held(plan(ONE, TWO, needy))) == ["project.002_b", "project.003_c"]


def test_what_is_not_asked_for_need_not_be_met() -> None:
    needy = on("depends: django:shop.0003_taxes")

    assert steps(plan(needy, BESIDE, target=Target("cart"))) == ["cart.001_x"]


@pytest.mark.parametrize(
    ("named", "message", "remedy"),
    [
        ("shop.0003_tax", "shop has no migration of that name.", "Did you mean django:shop.0003_taxes?"),
        (
            "shop.prises",
            "shop has no migration of that name.",
            "See which there are: python manage.py showmigrations shop",
        ),
        ("shpo.0003_x", "no app with the label 'shpo' is installed.", "Did you mean django:shop.0003_x?"),
        ("zoo.0003_x", "no app with the label 'zoo' is installed.", "Write the label of an installed app."),
    ],
)
@pytest.mark.parametrize(("key", "verb"), [("depends", "Depends on"), ("runs-in", "Runs in")])
def test_a_migration_that_does_not_exist_is_told_with_the_nearest(
    key: str, verb: str, named: str, message: str, remedy: str
) -> None:
    found = plan(on(f"{key}: django:{named}"))

    assert told(found) == [("unknown-dependency", 2, f"{verb} django:{named}, but {message}", remedy)]


@pytest.mark.parametrize("name", ["0004_prices", "__latest__"])
def test_a_file_that_waits_for_the_migration_it_runs_in_is_told(name: str) -> None:
    two = migration(
        "project.002_b", f"-- runs-in: django:shop.0004_prices\n-- depends: django:shop.{name}\nSELECT 1;\n"
    )
    own = (
        f"Runs in django:shop.0004_prices, and has to come after django:shop.{name}, which Django has only after that."
    )
    remedy = f"Let it run in a migration that comes after django:shop.{name}, or take that out of its line."
    if name == "__latest__":
        remedy = "Name in project.002_b the migration of shop that it needs: __latest__ means every later one too."

    assert told(plan(ONE, two)) == [("cycle", 1, own, remedy)]


def test_a_file_behind_one_that_waits_for_its_migration_is_told() -> None:
    one = on("depends: django:shop.__latest__")
    early = migration("project.001_a", "-- runs-in: django:shop.0004_prices\nSELECT 1;\n")
    late = migration("project.002_b", "-- runs-in: django:shop.0003_taxes\nSELECT 1;\n")
    wrappers = {"project.001_a": (("shop", "0004_prices"),), "project.002_b": (("shop", "0003_taxes"),)}

    behind = plan(one, TWO)
    crossed = plan(early, late, django=history(wrappers=wrappers))

    assert [
        (f.rule, f.migration, f.message) for f in (*behind.disagreements, *crossed.disagreements) if f.rule == "cycle"
    ] == [
        (
            "cycle",
            "project.002_b",
            f"Runs in django:shop.{runs_in}, and has to come after project.001_a, and django:shop.{after}, "
            "which Django has only after that.",
        )
        for runs_in, after in (("0004_prices", "__latest__"), ("0003_taxes", "0004_prices"))
    ]


def test_one_migration_may_apply_several_files() -> None:
    three = migration("project.003_c", "-- runs-in: django:shop.0004_prices\nSELECT 1;\n")
    wrappers = dict.fromkeys(("project.002_b", "project.003_c"), (("shop", "0004_prices"),))

    found = plan(ONE, TWO, three, django=history(wrappers=wrappers))

    assert steps(found) == ["project.001_a"]
    assert [(id, state) for id, (state, _) in held(found).items()] == [
        ("project.002_b", State.WAITING),
        ("project.003_c", State.WAITING),
    ]


def test_a_migration_without_the_operation_is_told() -> None:
    message = (
        'Runs in django:shop.0004_prices, but no migration of shop has the operation ApplySQL("project", "002_b").'
    )

    assert told(plan(ONE, TWO, django=history(wrappers={}))) == [
        ("runs-in", 1, message, "Add it to shop.0004_prices.")
    ]


def test_an_operation_in_another_migration_is_told() -> None:
    message = (
        "Runs in django:shop.0004_prices, but it is shop.0003_taxes that has the operation "
        'ApplySQL("project", "002_b").'
    )

    assert told(plan(ONE, TWO, django=history(wrappers={"project.002_b": (("shop", "0003_taxes"),)}))) == [
        ("runs-in", 1, message, "Write -- runs-in: django:shop.0003_taxes")
    ]


def test_a_migration_that_was_cleaned_up_after_a_squash_is_the_one_that_has_the_operation_now() -> None:
    gone = on("runs-in: django:shop.0002_gone", "project.002_b")
    found = plan(ONE, gone)

    assert steps(found) == ["project.001_a"]
    assert [entry.hold and entry.hold.command for entry in found.held] == ["python manage.py migrate shop 0004"]


def test_a_faked_migration_whose_file_is_not_recorded_is_told_with_both_ways_out() -> None:
    message = (
        "Runs in django:shop.0004_prices, which is recorded as applied on 'default'; this file is not: it was faked."
    )

    assert told(plan(ONE, TWO, django=history("0004_prices"))) == [
        (
            "faked",
            1,
            message,
            "When what the file does is in the database: python manage.py sqlmigrate_apply --fake project 002\n"
            "When it is not, run it before: python manage.py dbshell -- -1 -f migrations_sql/002_b.sql",
        )
    ]


def test_migrations_of_django_that_cannot_be_loaded_stop_the_files_that_name_them() -> None:
    found = plan(BESIDE, TWO, django=DjangoHistory(fault="ImportError: no"))

    assert told(found) == [
        (
            "django-graph",
            1,
            "Django's migrations cannot be looked at: ImportError: no",
            "See it whole: python manage.py migrate --plan",
        )
    ]


def test_a_file_goes_where_the_routers_let_the_app_of_its_migration() -> None:
    found = plan(ONE, TWO, THREE, closed_apps=frozenset({"shop"}), routed_away=frozenset({"project.002_b"}))

    assert (steps(found), held(found)) == (["project.001_a", "project.003_c"], {})
    assert list(held(plan(ONE, TWO, routed_away=frozenset({"project.002_b"})))) == ["project.002_b"]


def test_django_is_asked_only_for_files_that_are_not_recorded_and_can_name_it() -> None:
    files = loaded(ONE, TWO)

    assert asks_django(files, ())
    assert not asks_django(files, (row(TWO),))
    assert not asks_django(loaded(ONE), ())


def test_what_migrate_applies_is_looked_over_without_stopping_anything_here() -> None:
    two = migration(
        "project.002_b", "-- runs-in: django:shop.0004_prices\nDROP TABLE old;\nSELECT pg_advisory_unlock_all();\n"
    )
    three = migration("project.003_c", "DROP TABLE older;\n")

    found = plan(ONE, two, three)
    met = plan(ONE, two, three, django=history("0001_initial"), applied=(row(ONE), row(two), row(three)))

    assert steps(found) == ["project.001_a"]
    assert found.warnings == found.dangers == ()
    assert sorted((f.migration, f.rule, f.severity.value) for f in found.ahead) == [
        ("project.002_b", "advisory-unlock", "error"),
        ("project.002_b", "drop-table", "warning"),
    ]
    assert met.ahead == ()

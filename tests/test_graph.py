"""The order in which migrations run."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmigrations.graph import ancestors, order, resolve
from sqlmigrations.parser import Script, parse
from sqlmigrations.types import Finding, Severity
from tests.samples import migration


def scripts(*files: tuple[str, str]) -> list[Script]:
    """Migrations by id, each with the value of its ``depends:`` line."""
    return [
        parse(migration(id, f"-- depends: {depends}\nSELECT 1;" if depends else "SELECT 1;")) for id, depends in files
    ]


def ordered(found: Sequence[Script], known: Sequence[str] = ()) -> list[str]:
    edges, unknown = resolve(found, {*known, *(s.migration.id for s in found)})
    result, cycles = order(found, edges)
    assert (unknown, cycles) == ([], [])
    return [script.migration.id for script in result]


def test_without_dependencies_the_order_given_stays() -> None:
    found = scripts(("b.001_x", ""), ("b.002_x", ""), ("a.001_x", ""))

    assert ordered(found) == ["b.001_x", "b.002_x", "a.001_x"]


def test_a_dependency_on_another_label_comes_first_and_nothing_else_moves() -> None:
    found = scripts(
        ("a.001_x", ""), ("a.002_x", "b.002_x"), ("a.003_x", ""), ("b.001_x", ""), ("b.002_x", ""), ("b.003_x", "")
    )

    assert ordered(found) == ["a.001_x", "b.001_x", "b.002_x", "a.002_x", "a.003_x", "b.003_x"]


def test_an_entry_without_a_label_means_the_files_own() -> None:
    edges, unknown = resolve(scripts(("a.001_x", ""), ("a.002_x", "001_x")), {"a.001_x", "a.002_x"})

    assert (edges, unknown) == ({"a.001_x": (), "a.002_x": ("a.001_x",)}, [])


def test_the_tracking_tables_come_before_the_first_of_every_label() -> None:
    found = scripts(("sqlmigrations.000_x", ""), ("a.001_x", ""), ("a.002_x", ""), ("b.001_x", ""))

    edges, _ = resolve(found, [s.migration.id for s in found])

    assert edges == {
        "sqlmigrations.000_x": (),
        "a.001_x": ("sqlmigrations.000_x",),
        "a.002_x": ("a.001_x",),
        "b.001_x": ("sqlmigrations.000_x",),
    }


def test_what_is_applied_is_waited_for_no_longer() -> None:
    edges, unknown = resolve(scripts(("a.002_x", "b.001_x")), {"a.002_x", "b.001_x"})

    assert (edges, unknown) == ({"a.002_x": ()}, [])


def test_a_dependency_that_does_not_exist_is_told_with_the_nearest_that_does() -> None:
    (found,) = scripts(("a.002_x", "b.001_initial"))

    _, unknown = resolve([found], ["a.002_x", "b.001_initial_schema"])

    assert unknown == [
        Finding(
            "unknown-dependency",
            Severity.ERROR,
            "Depends on b.001_initial, which does not exist.",
            "Did you mean b.001_initial_schema?",
            "a.002_x",
            "migrations_sql/002_x.sql",
            1,
            1,
        )
    ]


def test_a_dependency_like_nothing_else_is_told_how_one_is_written() -> None:
    _, (unknown,) = resolve(scripts(("a.002_x", "quite.999_different")), ["a.002_x"])

    assert unknown.remedy == "Write label.NNN_slug of a migration that exists."


def test_a_cycle_is_told_by_its_members() -> None:
    found = scripts(("a.001_x", "b.001_x"), ("b.001_x", "a.001_x"))
    edges, _ = resolve(found, [s.migration.id for s in found])

    result, (cycle,) = order(found, edges)

    assert result == []
    assert cycle.message in (
        "Migrations wait for each other: a.001_x -> b.001_x -> a.001_x.",
        "Migrations wait for each other: b.001_x -> a.001_x -> b.001_x.",
    )
    assert (cycle.rule, cycle.line) == ("cycle", 1)


def test_a_file_that_waits_for_a_higher_number_of_its_label_makes_a_cycle() -> None:
    found = scripts(("a.001_x", "002_x"), ("a.002_x", ""))
    edges, _ = resolve(found, [s.migration.id for s in found])

    _, (cycle,) = order(found, edges)

    assert (cycle.rule, cycle.migration) == ("cycle", "a.001_x")


def test_a_file_that_waits_for_itself_makes_a_cycle() -> None:
    found = scripts(("a.001_x", "001_x"))
    edges, _ = resolve(found, ["a.001_x"])

    _, (cycle,) = order(found, edges)

    assert cycle.message == "Migrations wait for each other: a.001_x -> a.001_x."


def test_ancestors_are_what_is_waited_for_however_far() -> None:
    edges = {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": (), "e": ("a",)}

    assert ancestors(["a"], edges) == {"a", "b", "c", "d"}

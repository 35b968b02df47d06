"""The admin where much has happened: what is not listed is told, and no page reads what it does not show."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from sqlmigrations.admin import window
from tests.office import EVENTS, Office, cells, page, words

# Half an hour before midnight in UTC is the next day, month and year in Berlin.
SYLVESTER = "2025-12-31 23:30:00+00"
TELL = """
INSERT INTO schema_migration_events (happened_at, run_id, event, label, key, name, os_user, host, pid)
SELECT %s::timestamptz + n * interval '1 minute', md5(%s)::uuid, %s, %s, n::text, lpad(n::text, 3, '0') || '_x',
       'ada', 'ci', 1
  FROM generate_series(1, %s) AS n
"""
MORE = "There are more: the first {} are listed. A date or a filter shows others."
CUT = "Searched were the newest {} of those that date and filters leave."


@pytest.fixture
def office(office: Office) -> Office:
    """Tables, and nothing that happened."""
    office.site.run("sqlmigrate_apply", check=True)
    office.site.query("DELETE FROM schema_migration_events")
    return office


def told(office: Office, count: int, at: str = SYLVESTER, event: str = "applied", label: str = "shop") -> None:
    """That many events, a minute apart."""
    office.site.query(TELL, at, label, event, label, count)


def names(client: Client, question: str = "") -> list[str]:
    return cells(page(client.get(f"{EVENTS}?{question}")), "migration")


def periods(html: str) -> list[str]:
    """What the date hierarchy shows, the way back first."""
    found = re.search(r'<nav class="toplinks".*?</nav>', html, re.DOTALL)
    shown = unescape(found[0]).replace("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", "up:") if found else ""
    return re.findall(r"\s*([^<>]+?)</a>", shown)


@pytest.mark.parametrize(
    ("happened", "listed", "has_more"), [(5, 5, False), (6, 6, False), (7, 6, True), (9, 6, True)]
)
def test_the_newest_are_listed_and_it_is_told_that_there_are_more(
    office: Office, monkeypatch: pytest.MonkeyPatch, happened: int, listed: int, has_more: bool
) -> None:
    monkeypatch.setattr(window, "LISTED", 6)
    told(office, happened)

    html = page(office.superuser().get(EVENTS))

    listed = min(happened, 6)
    expected = [f"shop.{number:03}_x" for number in range(happened, happened - listed, -1)]
    assert cells(html, "migration") == expected
    assert f"{listed} SQL migration events" in words(html)
    assert (MORE.format(6) in words(html)) is (happened > 6)


def test_pages_show_each_event_once_and_end_where_the_list_does(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "LISTED", 250)
    told(office, 260)
    client = office.superuser()

    seen = [names(client, f"p={number}") for number in (1, 2, 3)]

    assert [len(each) for each in seen] == [100, 100, 50]
    assert [name for each in seen for name in each] == [f"shop.{number:03}_x" for number in range(260, 10, -1)]
    assert client.get(f"{EVENTS}?p=4").headers["Location"] == f"{EVENTS}?e=1"
    assert names(client, "o=0")[:2] == ["shop.001_x", "shop.002_x"]


def test_few_can_be_shown_on_one_page(office: Office) -> None:
    told(office, 150)

    assert len(names(office.superuser(), "all=")) == 150


def test_a_search_looks_at_the_newest_and_says_so(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "SEARCHED", 20)
    told(office, 30, label="shop")
    told(office, 5, label="stock", at="2024-02-29 12:00:00+00")
    client = office.superuser()

    everywhere = page(client.get(f"{EVENTS}?q=01"))
    exact = page(client.get(f"{EVENTS}?q=shop.003_x.sql"))
    narrowed = page(client.get(f"{EVENTS}?q=_x&label=stock"))
    dated = page(client.get(f"{EVENTS}?q=stock&happened_at__year=2024"))

    # From 011 on.
    assert cells(everywhere, "migration") == [f"shop.{number:03}_x" for number in range(19, 10, -1)]
    assert CUT.format(20) in words(everywhere)
    assert cells(exact, "migration") == ["shop.003_x"]
    assert len(cells(narrowed, "migration")) == len(cells(dated, "migration")) == 5
    for complete in (exact, narrowed, dated):
        assert "Searched were" not in complete


@pytest.mark.parametrize(("happened", "is_cut"), [(20, False), (21, True)])
def test_a_search_of_everything_claims_no_limit(
    office: Office, monkeypatch: pytest.MonkeyPatch, happened: int, is_cut: bool
) -> None:
    monkeypatch.setattr(window, "SEARCHED", 20)
    told(office, happened)

    html = page(office.superuser().get(f"{EVENTS}?q=_x"))

    assert len(cells(html, "migration")) == 20
    assert ("Searched were" in html) is is_cut


def test_events_of_one_moment_are_searched_like_any_other(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "SEARCHED", 20)
    told(office, 30)
    office.site.query("UPDATE schema_migration_events SET happened_at = %s", SYLVESTER)

    html = page(office.superuser().get(f"{EVENTS}?q=_x"))

    assert cells(html, "migration") == [f"shop.{number:03}_x" for number in range(30, 10, -1)]


def test_a_migration_is_found_by_its_number_whatever_zeros_stand_before_it(office: Office) -> None:
    told(office, 12)
    client = office.superuser()

    assert names(client, "q=shop.012_x") == names(client, "q=shop.012") == ["shop.012_x"]
    assert names(client, "q=shop.001") == ["shop.001_x"]
    assert names(client, "q=shop.012_y") == names(client, "q=stock.012_x") == []


def test_the_date_hierarchy_shows_what_occurs_in_the_zone_of_the_visitor(office: Office) -> None:
    told(office, 31)
    told(office, 1, at="2024-02-29 12:00:00+00")
    told(office, 1, at="2025-06-30 12:00:00+00")
    client = office.superuser()

    def shown(question: str) -> list[str]:
        return periods(page(client.get(f"{EVENTS}?{question}")))

    assert shown("") == ["2024", "2025", "2026"]
    assert shown("happened_at__year=2025") == ["up: All dates", "June 2025", "December 2025"]
    assert shown("happened_at__year=2025&happened_at__month=12") == ["up: 2025", "December 31"]
    assert shown("happened_at__year=2024&happened_at__month=2") == ["up: 2024", "February 29"]
    assert shown("happened_at__year=2024&happened_at__month=2&happened_at__day=29") == ["up: February 2024"]
    assert len(names(client, "happened_at__year=2025&happened_at__month=12")) == 29
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert shown("happened_at__year=2025") == ["up: All dates", "June 2025"]
        assert shown("happened_at__year=2026") == ["up: All dates", "January 2026"]
        assert len(names(client, "happened_at__year=2026")) == 31


def test_the_hierarchy_begins_where_there_is_a_choice(office: Office) -> None:
    told(office, 1, at="2025-06-30 12:00:00+00")
    told(office, 1, at="2025-06-02 12:00:00+00")
    client = office.superuser()

    of_a_month = periods(page(client.get(EVENTS)))
    told(office, 1, at="2025-01-30 12:00:00+00")
    of_a_year = periods(page(client.get(EVENTS)))
    office.site.query("DELETE FROM schema_migration_events")

    assert of_a_month == ["up: 2025", "June 2", "June 30"]
    assert of_a_year == ["up: All dates", "January 2025", "June 2025"]
    assert periods(page(client.get(EVENTS))) == []


@pytest.mark.parametrize("question", ["happened_at__year=x", "happened_at__month=3"])
def test_dates_that_are_none_do_no_harm(office: Office, question: str) -> None:
    told(office, 1)

    assert office.superuser().get(f"{EVENTS}?{question}").status_code in (200, 302)


QUESTIONS = (
    "",
    "p=100",
    "o=0",
    "event=failures",
    "event=applied",
    "event=run_started",
    "event=statement_started",
    "label=label_0",
    "label=label_2",
    "run={run}",
    "migration=label_0.7",
    "happened_at__year=2025",
    "happened_at__year=2025&happened_at__month=2",
    "happened_at__year=2025&happened_at__month=2&happened_at__day=3",
    "label=label_0&happened_at__year=2025",
    "q=label_0.007",
    "q=part",
)
# One label after the other, every statement of a hundred migrations each.
FILL = """
INSERT INTO schema_migration_events (happened_at, run_id, event, label, key, name, os_user, host, pid)
SELECT '2025-01-01'::timestamptz + n * interval '9 minutes', md5((n / 400)::text)::uuid,
       CASE WHEN n %% 40 = 0 THEN 'applied' WHEN n %% 4000 = 1 THEN 'failed' WHEN n %% 400 = 2 THEN 'run_started'
            WHEN n %% 2 = 0 THEN 'statement_started' ELSE 'statement_finished' END,
       'label_' || n / 4000, n %% 4000 / 40, lpad((n %% 4000 / 40)::text, 3, '0') || '_x', 'ada', 'ci', 1
  FROM generate_series(%s, %s) AS n
"""


def test_however_long_it_is_pages_take_the_same_queries_and_none_reads_all_of_it(office: Office) -> None:
    office.site.query(FILL, 0, 11_999)
    ((run,),) = office.site.query("SELECT md5('3')::uuid::text")
    client = office.superuser()
    client.get(EVENTS)  # What is asked once in a process, the content types.
    short = {question: asked(client, question.format(run=run)) for question in QUESTIONS}
    office.site.query(FILL, 12_000, 59_999)
    office.site.query("VACUUM ANALYZE schema_migration_events")

    long = {question: asked(client, question.format(run=run)) for question in QUESTIONS}

    assert {question: len(queries) for question, queries in long.items()} == {
        question: len(queries) for question, queries in short.items()
    }
    assert max(map(len, long.values())) <= 11
    for question, queries in long.items():
        for sql in queries:
            read = scanned(sql)
            # A part of a word is looked for in as many as may be searched, which is more than there are here.
            assert not read or question == "q=part", (question, sql, read)


def asked(client: Client, question: str) -> list[str]:
    """The queries about events of a page."""
    with CaptureQueriesContext(connection) as captured:
        page(client.get(f"{EVENTS}?{question}"))
    return [query["sql"] for query in captured.captured_queries if query["sql"].lstrip()[:4] in ("SELE", "WITH")]


def scanned(sql: str) -> list[str]:
    """The parts of a plan that read the whole table, or much more of it than is listed."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql.replace('%', '%%')}", [])
        found = cursor.fetchone()[0]
    (top,) = json.loads(found) if isinstance(found, str) else found
    return _scans(top["Plan"])


def _scans(node: dict[str, object]) -> list[str]:
    children = node.get("Plans", [])
    assert isinstance(children, list)
    found = [each for child in children for each in _scans(child)]
    if node.get("Relation Name") != "schema_migration_events":
        return found
    removed = node.get("Rows Removed by Filter", 0)
    rows = node["Actual Rows"]
    assert isinstance(removed, int | float)
    assert isinstance(rows, int | float)
    if node["Node Type"] == "Seq Scan" or rows + removed > 2.5 * window.LISTED:
        found.append(f"{node['Node Type']} {node.get('Index Name', '')}: {rows} and {removed}")
    return found

"""Opens the pages of the admin on a long history: how long each takes, in how many queries.

    python benchmarks/admin.py [--migrations 100000] [--events 1000000]

Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.arena import open_arena

LEDGER, EVENTS = "/admin/sqlmigrations/schemamigration/", "/admin/sqlmigrations/schemamigrationevent/"
# Ten labels, three years, runs of ten files; of each file its journal, and some that failed first.
FILL = """
INSERT INTO schema_migrations (label, key, version, name, kind, mode, checksum, sql_checksum, checksum_algorithm,
                               state, applied_at, execution_ms, run_id, statements_done, statements_total,
                               tool_version)
SELECT 'app_' || n %% 10, n::text, n, lpad(n::text, 6, '0') || '_change', 'versioned', 'transaction',
       encode(sha256(n::text::bytea), 'hex'), '', 'sha256-1', 'applied',
       now() - interval '3 years' * (1 - n / %(migrations)s::float8), n %% 1000, md5((n / 10)::text)::uuid, 3, 3, '0'
  FROM generate_series(1, %(migrations)s) AS n;
INSERT INTO schema_migration_events (happened_at, run_id, event, label, key, name, os_user, host, pid, detail)
SELECT now() - interval '3 years' * (1 - n / %(events)s::float8), md5((m / 10)::text)::uuid,
       CASE WHEN n %% 10 = 0 THEN 'applied' WHEN n %% 100 = 1 THEN 'failed' ELSE 'statement_finished' END,
       'app_' || m %% 10, m::text, lpad(m::text, 6, '0') || '_change', 'deploy', 'ci-' || m %% 7, 4711,
       jsonb_build_object('number', n %% 10, 'line', n %% 100, 'sqlstate', '22012', 'error', 'division by zero')
  FROM (SELECT n, greatest(1, n * %(migrations)s::bigint / %(events)s) AS m
          FROM generate_series(1, %(events)s) AS n) AS numbered;
"""
PAGES = {
    "history": LEDGER,
    "history, last page": f"{LEDGER}?p={{last}}",
    "history, by label": f"{LEDGER}?label=app_3",
    "history, by state": f"{LEDGER}?state=partial",
    "history, one month": f"{LEDGER}?applied_at__year=2025&applied_at__month=6",
    "history, by duration": f"{LEDGER}?o=5",
    "history, search": f"{LEDGER}?q=054321",
    "history, app_1.054321": f"{LEDGER}?q=app_1.054321",
    "a migration": f"{LEDGER}{{row}}/change/",
    "events": EVENTS,
    "events, failures": f"{EVENTS}?event=failures",
    "events, by label": f"{EVENTS}?label=app_3",
    "events, one month": f"{EVENTS}?happened_at__year=2025&happened_at__month=6",
    "events, search": f"{EVENTS}?q=054321",
    "events of a run": f"{EVENTS}?run={{run}}",
    "events of a migration": f"{EVENTS}?migration=app_1.54321",
    "an event": f"{EVENTS}{{event}}/change/",
}
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--migrations", type=int, default=100_000, help="rows of the history")
    parser.add_argument("--events", type=int, default=1_000_000, help="events")
    options = parser.parse_args()
    with open_arena() as arena, arena.database() as address:
        where = address.environment
        url = f"postgresql://{where['PGUSER']}@%2F{where['PGHOST'].strip('/').replace('/', '%2F')}"
        os.environ |= {"DATABASE_URL": f"{url}:{where['PGPORT']}/{where['PGDATABASE']}", "DEBUG": "0"}
        os.environ |= {"DJANGO_SETTINGS_MODULE": "project.settings", "ALLOWED_HOSTS": "testserver"}
        _measure(options.migrations, options.events)


def _measure(migrations: int, events: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0, skip_checks=True)
    call_command("sqlmigrate_apply", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"migrations": migrations, "events": events})
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT id, run_id FROM schema_migrations WHERE key = %s", [str(migrations // 2)])
        row, run = cursor.fetchone()
    client = _visitor()
    print(f"{migrations:,} migrations, {events:,} events")
    print("| page | milliseconds | queries |\n|---|---:|---:|")
    for name, path in PAGES.items():
        asked = path.format(last=migrations // 100, row=row, run=run, event=events // 2)
        took, queries = _open(client, asked)
        print(f"| {name} | {took:.0f} | {queries} |", flush=True)
    connection.close()


def _visitor() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def _open(client: Any, path: str) -> tuple[float, int]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        response = client.get(path)
        rounds.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 200, (path, response.status_code, response.headers.get("Location"))
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return median(rounds), len(captured)


if __name__ == "__main__":
    main()

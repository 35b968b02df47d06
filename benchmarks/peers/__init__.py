"""Who competes: the other tools, the floor, and this tool."""

from __future__ import annotations

from benchmarks.peers.alembic import Alembic
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.dblift import Dblift
from benchmarks.peers.dbmate import Dbmate
from benchmarks.peers.loop import BareLoop
from benchmarks.peers.ours import Ours
from benchmarks.peers.psql import Psql
from benchmarks.peers.run_sql import RunSQL
from benchmarks.peers.sqitch import Sqitch
from benchmarks.peers.yoyo import Yoyo

# In the order of the tables.
CAST: tuple[type[Contestant], ...] = (Ours, BareLoop, Psql, Dbmate, RunSQL, Alembic, Dblift, Yoyo, Sqitch)
RUNNERS = tuple(contestant for contestant in CAST if contestant is not Psql)

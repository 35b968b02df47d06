"""The built wheel: what is in it, and that it applies migrations where nothing of the checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.servers import Database

REPOSITORY = Path(__file__).resolve().parent.parent

SETTINGS = """
import dj_database_url
SECRET_KEY = "only for this test"
INSTALLED_APPS = ["django.contrib.contenttypes", "sqlmigrations"]
DATABASES = {"default": dj_database_url.config()}
SQLMIGRATIONS = {"DIRS": {"project": "sql"}}
USE_TZ = True
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # What builds it is installed here: an environment of its own for that would be made anew for every worker.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    expected = {
        f"{path.relative_to(REPOSITORY)}"
        for path in (REPOSITORY / "sqlmigrations").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    package = {name for name in names if name.startswith("sqlmigrations/")}
    assert package == expected
    assert {"sqlmigrations/py.typed", "sqlmigrations/migrations_sql/000_migration_tracking.sql"} <= package
    assert {".py", ".sql", ".html", ".css"} <= {Path(name).suffix for name in package}
    assert all(name.partition("/")[0].endswith(".dist-info") for name in names - package)


def test_a_site_that_has_only_the_wheel_applies_its_files(
    wheel: Path, tmp_path: Path, fresh_database: Database
) -> None:
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", f"{wheel}[psycopg2]", "dj-database-url"]
    subprocess.run(install, check=True, capture_output=True, text=True)
    site = tmp_path / "site"
    (site / "sql").mkdir(parents=True)
    (site / "settings.py").write_text(SETTINGS)
    (site / "sql" / "001_first.sql").write_text("CREATE TABLE made_by_the_wheel (id bigint PRIMARY KEY);\n")
    env = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "settings",
        "DATABASE_URL": fresh_database.url,
        "PYTHONPATH": str(site),
    }

    done = subprocess.run(
        [python, "-W", "error", "-m", "django", "sqlmigrate_apply"], cwd=site, env=env, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Applying project.001_first... OK" in done.stdout
    assert fresh_database.query("SELECT count(*) FROM made_by_the_wheel") == [(0,)]

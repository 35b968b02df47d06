"""Django's PostgreSQL backend, with the server started and the database made on the first connection."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base
from django.db.utils import OperationalError

from project.embedded.client import DatabaseClient
from project.embedded.server import Server, ServerError, server_of


class DatabaseWrapper(base.DatabaseWrapper):
    """A PostgreSQL connection whose ``HOST`` is the folder of a server that runs while it is used."""

    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        """Django's parameters with the server's address; the server runs and the database exists by then."""
        params = super().get_connection_params()
        try:
            server = server_of(self.settings_dict)
            params |= {"host": str(server.enter()), "port": server.port}
        except ServerError as problem:
            raise OperationalError(str(problem)) from problem
        params.setdefault("user", server.user)
        self._make_database(server)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection; when the server was killed since the last one, it is started again first."""
        server = server_of(self.settings_dict)
        pid = server.pid
        try:
            return super().get_new_connection(conn_params)
        except self.Database.OperationalError:
            if not server.revive(pid):
                raise
            return super().get_new_connection({**conn_params, "host": str(server.enter())})

    def _make_database(self, server: Server) -> None:
        """Once per process and name, so that a database dropped later on is missed like any other."""
        name = self.settings_dict["NAME"]
        if name in server.databases or name in (None, "postgres"):
            return
        with server.starting(), self._nodb_cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {self.ops.quote_name(name)}")
        server.databases.add(name)

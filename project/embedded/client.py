"""``dbshell`` for the embedded server: psql with its address, the wheel's own psql where PATH has none that works."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql import client

from project.embedded.server import binaries, server_of


class DatabaseClient(client.DatabaseClient):
    """Runs psql while this process keeps the server up."""

    def runshell(self, parameters: Iterable[str]) -> None:
        """Start the server and make the database before psql asks for them."""
        self.connection.get_connection_params()
        super().runshell(parameters)

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        """Django's command line with the server's address and a program that exists."""
        server = server_of(settings_dict)
        address = {
            "HOST": str(server.enter()),
            "PORT": server.port,
            "USER": settings_dict["USER"] or server.user,
        }
        args, env = super().settings_to_cmd_args_env({**settings_dict, **address}, parameters)
        if not _works(args[0]):
            args[0] = str(binaries() / args[0])
        return args, env


def _works(program: str) -> bool:
    """Debian's psql is there without any client, and then only says so."""
    try:
        return subprocess.run([program, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False

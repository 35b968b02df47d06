"""Connects in a thread beside, so that who interrupts a run need not wait for a host that says nothing."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from sqlmigrations.backends import aliases
from sqlmigrations.interruption import Interruption


def connect(own: Any, interruption: Interruption) -> None:
    """Connects a wrapper of our own; both drivers would hear of nothing until they are connected.

    Args:
        own: Not yet connected; of no more use when this was interrupted.
        interruption: What is looked at meanwhile.

    Raises:
        Interrupted: The run was asked to end before the server let us in or refused to.
        DjangoError, ImproperlyConfigured: As of Django.
    """
    over = threading.Event()
    ended: Future[None] = Future()

    def work() -> None:
        try:
            aliases.connect(own)
        except Exception as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)
        over.set()

    own.inc_thread_sharing()
    threading.Thread(target=work, name="sqlmigrations connect", daemon=True).start()
    with interruption.cancelling(over.set):
        over.wait()
    if not ended.done():
        # Should it come about after all, nobody waits for it any more.
        ended.add_done_callback(lambda _: own.close())
        interruption.check()
    ended.result()

"""Records of Codex that this program made: copied and deleted, as far as Codex lets them be."""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Final

from backends.codex import client
from backends.codex.app_server import AppServer
from process_agent.errors import RemoteError

logger = logging.getLogger(__name__)

OURS: Final = "process_agent"
"""The originator that Codex records with a thread of ours. No other is resumed, copied or deleted: rows of a
room, where ids of Codex threads are kept, may be written by others.
"""


async def copy_thread(server: AppServer, wanted: dict[str, Any]) -> dict[str, Any]:
    """`thread/fork`, which takes no archived thread (tried with 0.163.0): see `discard_thread`."""
    try:
        return await client.fork_thread(server, wanted)
    except RemoteError:
        source = {"threadId": wanted["threadId"]}
        with contextlib.suppress(RemoteError):
            await server.request("thread/unarchive", source)
            try:
                return await client.fork_thread(server, wanted)
            finally:
                await server.request("thread/archive", source)
        raise


async def discard_thread(server: AppServer, thread: str) -> None:
    """Delete a Codex thread of ours; one that others were copied from is put among the archived ones, as
    Codex needs it for them. One that is gone is fine. Raises `ProcessError`.
    """
    try:
        about = await client.read_thread(server, thread)
    except RemoteError as error:
        logger.info("Codex thread %s is gone already: %s", thread, error)
        return
    if about.get("originator") != OURS:
        logger.warning("Codex thread %s was not made by this program and is left alone", thread)
        return
    try:
        await server.request("thread/delete", {"threadId": thread})
    except RemoteError as error:
        logger.info("Codex thread %s cannot be deleted and is archived: %s", thread, error)
        await server.request("thread/archive", {"threadId": thread})

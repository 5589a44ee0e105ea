"""`room.list_toolkits` (room protocol, section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from process_agent.room_server.hosting import Hosting
from process_agent.room_server.member import Member
from process_agent.room_server.toolkit import Toolkit, json_content

MAX_WAIT_SECONDS = 60.0
"""Longest that a listing waits for a participant's first toolkit."""


def builtin_listing(toolkits: Mapping[str, Toolkit]) -> dict[str, Any]:
    """The room's own toolkits. Their tools are not described: clients have methods for them."""
    names = ["messaging", *toolkits]
    return {name: {"title": name, "description": "", "annotations": {}, "tools": {}} for name in names}


class ListRequest:
    """Listings of what one participant hosts, waiting for it as long as the caller asks."""

    def __init__(self, hosting: Hosting, members: Mapping[str, Member]) -> None:
        self._hosting = hosting
        self._members = members
        self._changed = asyncio.Event()

    def registered(self) -> None:
        """A toolkit was registered: look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def answer(
        self, member: Member, request_id: int, participant_id: str | None, name: str | None, limit: object
    ) -> Coroutine[Any, Any, None] | None:
        """Answer at once when there is something, or nothing to wait for; else return what to run.

        `limit` is the caller's time limit in seconds. An unknown participant has an empty list.
        """
        tools = self._hosted(participant_id, name)
        if tools or isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0:
            member.respond(request_id, json_content({"tools": tools}))
            return None
        return self._wait(member, request_id, (participant_id, name), min(float(limit), MAX_WAIT_SECONDS))

    async def _wait(
        self, member: Member, request_id: int, who: tuple[str | None, str | None], limit: float
    ) -> None:
        try:
            async with asyncio.timeout(limit):
                while not self._hosted(*who):
                    await self._changed.wait()
        except TimeoutError:
            pass
        if member.id in self._members:
            member.respond(request_id, json_content({"tools": self._hosted(*who)}))

    def _hosted(self, participant_id: str | None, name: str | None) -> dict[str, Any]:
        hosts = [
            member
            for member in self._members.values()
            if member.id == participant_id or (name is not None and member.caller.name == name)
        ]
        return dict(self._hosting.hosted_by(hosts))

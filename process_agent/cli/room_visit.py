"""A visit to a room by code that does not wait: one membership for many questions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from process_agent.io.tasks import Tasks

if TYPE_CHECKING:
    from process_agent.config import Settings
    from process_agent.rooms.credentials import JoinWish
    from process_agent.rooms.join import JoinedRoom


class RoomVisit:
    """Joins at the first question, and stays until `close`; a room that ended is joined again by the next
    question. The connection lives while a question or `pause` runs.
    """

    def __init__(self, settings: Settings, wish: JoinWish) -> None:
        self._settings = settings
        self._wish = wish
        self._runner = asyncio.Runner()
        self._tasks = Tasks("visit to a room", on_failure=lambda name, error: None)  # the next question tells
        self._member: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()

    def ask[T](self, question: Callable[[JoinedRoom], Coroutine[Any, Any, T]]) -> T:
        """The answer to a question. Raises what joining raises, and `RoomError` when the room ends."""
        return self._runner.run(self._answer(question))

    def pause(self, seconds: float) -> None:
        """Wait, with the connection alive."""
        self._runner.run(asyncio.sleep(seconds))

    def close(self) -> None:
        """Leave the room. Idempotent."""
        if self._member is not None:
            self._leave.set()
            self._runner.run(self._tasks.wait())
            self._member = None
        self._runner.close()

    async def _answer[T](self, question: Callable[[JoinedRoom], Coroutine[Any, Any, T]]) -> T:
        from process_agent.cli.local import while_joined

        if self._member is None or self._member.done():
            self._room: asyncio.Future[JoinedRoom] = asyncio.get_running_loop().create_future()
            self._member = self._tasks.start(self._stay(self._room), "member")
        member, joined = self._member, self._room
        waited: list[asyncio.Future[Any]] = [member, joined]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not joined.done():
            await member  # raises why it could not be joined
        room = await joined
        return await while_joined(room, question(room))

    async def _stay(self, joined: asyncio.Future[JoinedRoom]) -> None:
        from process_agent.cli.local import join_target, while_joined
        from process_agent.rooms.join import join_room

        target = await join_target(self._settings, self._wish)
        async with join_room(target) as room:
            joined.set_result(room)
            await while_joined(room, self._leave.wait())

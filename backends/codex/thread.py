"""A thread of the room behind Codex: an ephemeral Codex thread, made when needed and made again when lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from backends.codex import client
from backends.codex.agent_tools import namespaces
from backends.codex.app_server import AppServer, Lost, Message
from backends.codex.client_tools import dynamic_tools
from backends.codex.failures import refused
from backends.codex.frame import Frame
from backends.codex.history import responses_items
from backends.codex.host import Host, Standing
from backends.codex.inputs import input_items
from backends.codex.memory import Memory
from backends.codex.notices import NOTICE, notice_of
from backends.codex.running import GivenUp, RunningTurn
from backends.codex.texts import input_text
from process_agent.core.backend import (
    Answered,
    Decision,
    HistoryItem,
    TurnInput,
    UserMessage,
)
from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.events import BackendEvent, EndReason
from process_agent.core.ids import AskId, ItemId
from process_agent.core.usage import Usage
from process_agent.errors import BackendError, ProcessError, RemoteError, TimeLimitError, TurnRefusedError
from process_agent.io.tasks import Tasks
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Notification, Request

logger = logging.getLogger(__name__)

START_PATIENCE: Final = 10.0
"""Seconds a steer waits for its turn to be accepted."""

INTERRUPT_PATIENCE: Final = 5.0
"""Seconds Codex has to end an interrupted turn; then it is ended without it."""

MAX_EARLY: Final = 20
"""Notices that arrive between turns and are kept for the next one."""

_REPEATS: Final = (0.05, 0.1, 0.2, 0.5, 1.0)


class CodexThread:
    """Implements the port `BackendThread`."""

    def __init__(self, host: Host, history: Sequence[HistoryItem]) -> None:
        self._host = host
        self._memory = Memory(history)
        self._server: AppServer | None = None
        self._codex_thread: str | None = None
        self._standing = Standing()
        self._model: str | None = None
        self._used = Usage()
        self._turn: RunningTurn | None = None
        self._early: list[Notification] = []
        self._warned: set[str] = set()
        self._tasks = Tasks("codex thread")

    async def run(self, turn: TurnInput) -> AsyncIterator[BackendEvent]:
        """Run a turn; see the port."""
        if self._turn is not None:  # its reader left without closing it
            self._abandon(self._turn)
        running = self._turn = RunningTurn(self._frame(turn), turn.toolbox, self._tasks)
        try:
            begun = await self._begin(running, turn)
            running.mark_end()
            for event in begun:
                yield event
            async with contextlib.aclosing(running.events()) as events:
                async for event in events:
                    self._memory.observe(event)
                    yield event
        finally:
            running.begun.set()
            if not running.over.is_set():
                self._abandon(running)
            if self._turn is running:
                self._turn = None
            if running.codex_thread == self._codex_thread:
                self._used = running.mapper.usage.total

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        """Give the running turn more input; see the port."""
        running = self._turn
        if running is None:
            raise TurnRefusedError("No turn is running.", code="turn_not_in_progress")
        if running.frame.compact:
            text = "The conversation is being compacted; say it again when that is done."
            raise TurnRefusedError(text, code="turn_not_in_progress")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE):
                await running.begun.wait()
        server, thread, codex_turn = running.server, running.codex_thread, running.codex_turn
        over = running.mapper.ended or running.interrupted
        if server is None or thread is None or codex_turn is None or over:
            raise TurnRefusedError("The turn takes no more input.", code="turn_not_in_progress")
        items = input_items(content)
        running.mapper.said_by_us(input_text(items))
        try:
            await client.steer_turn(server, thread, codex_turn, items)
        except ProcessError as error:
            info = refused(error, "codex_turn_steer_failed")
            raise TurnRefusedError(info.message, code=info.code) from error
        self._memory.said(UserMessage(content, sender_name))

    async def interrupt(self) -> None:
        """Stop the running turn; see the port."""
        running = self._turn
        if running is not None and not running.interrupted:
            self._stop_in_background(running)

    async def decide(self, item_id: ItemId, decision: Decision) -> bool:
        """Answer an approval; see the port."""
        return self._turn is not None and self._turn.decide(item_id, decision)

    async def answer(self, ask_id: AskId, answer: Answered) -> bool:
        """Answer a client's tool; see the port. Codex asks for no secrets."""
        return self._turn is not None and self._turn.answer(ask_id, answer)

    async def close(self) -> None:
        """Stop what runs and let Codex forget the thread. Idempotent."""
        running, server, thread = self._turn, self._server, self._codex_thread
        self._server = self._codex_thread = None
        if running is not None and not running.over.is_set():
            await self._stop(running)
        if server is not None and thread is not None and server.alive:
            with contextlib.suppress(ProcessError):
                await client.unsubscribe(server, thread)
            server.detach(thread)
        await self._tasks.close()

    # --- Beginning -------------------------------------------------------------------------------

    def _frame(self, turn: TurnInput) -> Frame:
        model = turn.model.model or self._host.default_model().model
        return Frame(
            turn.turn_id,
            self._host.folder,
            self._host.approvals,
            frozenset(tool.name for tool in turn.client_tools),
            frozenset(kit.name for kit in turn.toolbox.toolkits) if turn.toolbox else frozenset(),
            turn.compact,
            lambda window: self._host.compacts_at(model, window),
        )

    async def _begin(self, running: RunningTurn, turn: TurnInput) -> list[BackendEvent]:
        """Have Codex accept the turn. Returns the end of the turn when it does not."""
        mapper = running.mapper
        if turn.compact and not self._memory.items():
            said = mapper.notice(NOTICE, "There is nothing to compact: nobody has said anything yet.")
            return [*said, *mapper.finish(EndReason.COMPLETED)]
        items = input_items(turn.content)
        mapper.said_by_us(input_text(items))
        try:
            accepted = await self._accepted(running, turn, items)
        except TurnRefusedError as error:
            return mapper.finish(EndReason.FAILED, ErrorInfo(str(error), error.code))
        except ProcessError as error:
            return mapper.finish(EndReason.FAILED, refused(error, "codex_turn_start_failed"))
        finally:
            if not turn.compact:
                self._memory.said(UserMessage(turn.content, turn.sender_name))
        return [] if accepted else mapper.finish(EndReason.INTERRUPTED)

    async def _accepted(self, running: RunningTurn, turn: TurnInput, items: list[dict[str, Any]]) -> bool:
        """Start the turn, again if Codex dies before it took it. False when it was interrupted before."""
        model = turn.model.model or self._host.default_model().model
        standing = None if turn.compact else _standing(turn)
        for attempt in (1, 2):
            server, thread = await self._connected(model, standing)
            if running.interrupted:
                return False
            running.goes_to(server, thread, self._used)
            try:
                await self._start(running, server, thread, items, model)
            except ProcessError as error:
                if server.alive and not isinstance(error, RemoteError):
                    self._leave(server, thread)  # it may begin yet
                if attempt == 2 or server.alive:
                    raise
                continue
            self._model = model
            for notification in self._early:
                running.hear(notification)
            self._early.clear()
            break
        return True

    async def _start(
        self,
        running: RunningTurn,
        server: AppServer,
        thread: str,
        items: list[dict[str, Any]],
        model: str | None,
    ) -> None:
        if not running.frame.compact:
            running.accepted(await client.start_turn(server, thread, items, model))
            return
        if model is not None and model != self._model:
            await client.change_model(server, thread, model)
        await client.compact_thread(server, thread)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE):
                await running.begun.wait()
        if running.codex_turn is None:
            raise BackendError("Codex did not begin to compact the conversation.")

    async def _connected(self, model: str | None, standing: Standing | None) -> tuple[AppServer, str]:
        """A Codex thread that knows the history; tried again once when Codex dies meanwhile.

        Without `standing` the one that is there will do.
        """
        for attempt in (1, 2):
            server = await self._host.server()
            if server is self._server and self._codex_thread is not None:
                if standing in (None, self._standing):
                    return server, self._codex_thread
                self._leave(server, self._codex_thread)
            try:
                return server, await self._new_codex_thread(server, model, standing or Standing())
            except ProcessError:
                if attempt == 2 or server.alive:
                    raise
        raise AssertionError("the second attempt returns or raises")

    async def _new_codex_thread(self, server: AppServer, model: str | None, standing: Standing) -> str:
        settings = self._host.thread_settings(model, standing.instructions)
        if standing.tools:
            settings["dynamicTools"] = list(standing.tools)
        thread = await client.start_thread(server, settings)
        history = responses_items(self._memory.items())
        if history:
            await client.inject_items(server, thread, history)
        self._server, self._codex_thread = server, thread
        self._standing, self._model, self._used = standing, model, Usage()
        server.attach(thread, self._receive)
        return thread

    def _leave(self, server: AppServer, thread: str) -> None:
        """Another Codex thread takes over. What its commands left running goes on."""
        server.detach(thread)
        self._server = self._codex_thread = None
        self._tasks.start(self._forget(server, thread), "left thread")

    async def _forget(self, server: AppServer, thread: str) -> None:
        with contextlib.suppress(ProcessError):
            await client.unsubscribe(server, thread)

    def _receive(self, message: Message) -> None:
        running = self._turn
        if isinstance(message, Notification) and self._seen_before(message):
            return
        if isinstance(message, Lost):
            self._server = self._codex_thread = None
        if running is not None:
            running.hear(message)
        elif isinstance(message, Request) and self._server is not None:
            self._server.refuse(message.id, METHOD_NOT_FOUND, "no turn is running")
        elif isinstance(message, Notification) and len(self._early) < MAX_EARLY and _is_notice(message):
            self._early.append(message)

    def _seen_before(self, notification: Notification) -> bool:
        """Some warnings come with every turn; once in a thread is enough."""
        if notification.method not in ("warning", "deprecationNotice", "configWarning"):
            return False
        text = str(notification.params)
        if text in self._warned or len(self._warned) >= 1_000:
            return True
        self._warned.add(text)
        return False

    # --- Stopping --------------------------------------------------------------------------------

    def _abandon(self, running: RunningTurn) -> None:
        """Nobody listens to this turn any more: stop it, and leave its Codex thread, which may go on."""
        running.over.set()
        server, thread, codex_turn = running.server, running.codex_thread, running.codex_turn
        if server is None or thread is None:
            return
        server.detach(thread)
        if self._codex_thread == thread:
            self._server = self._codex_thread = None
        if codex_turn is None:
            self._tasks.start(self._forget(server, thread), "abandoned start")
        elif not running.interrupted:
            running.interrupted = True
            self._tasks.start(self._clear_up(running, server, thread, codex_turn), "abandoned turn")

    async def _clear_up(self, running: RunningTurn, server: AppServer, thread: str, turn: str) -> None:
        with contextlib.suppress(ProcessError):
            await self._interrupt(running, server, thread, turn)
            await client.clean_terminals(server, thread)
            await client.unsubscribe(server, thread)

    def _stop_in_background(self, running: RunningTurn) -> None:
        running.interrupted = True
        self._tasks.start(self._stop(running), "interrupt")

    async def _stop(self, running: RunningTurn) -> None:
        """Interrupt, kill what its commands left running, and give up on Codex when it does not react."""
        running.interrupted = True
        await running.begun.wait()
        server, thread, codex_turn = running.server, running.codex_thread, running.codex_turn
        if server is None or thread is None or codex_turn is None:
            return
        try:
            async with asyncio.timeout(INTERRUPT_PATIENCE):
                with contextlib.suppress(ProcessError):
                    await self._interrupt(running, server, thread, codex_turn)
                    await client.clean_terminals(server, thread)
                await running.over.wait()
        except TimeoutError:
            logger.warning("Codex did not end an interrupted turn; its thread is made anew")
            if self._codex_thread == thread:
                server.detach(thread)
                self._server = self._codex_thread = None
            running.hear(GivenUp())

    async def _interrupt(self, running: RunningTurn, server: AppServer, thread: str, turn: str) -> None:
        """Right after `turn/start` Codex may not know the turn yet, so a refusal is tried again."""
        for pause in _REPEATS:
            try:
                await client.interrupt_turn(server, thread, turn)
                return
            except RemoteError:
                if running.over.is_set():
                    return
                await asyncio.sleep(pause)
            except TimeLimitError:
                return


def _standing(turn: TurnInput) -> Standing:
    tools = (*dynamic_tools(turn.client_tools), *namespaces(turn.toolbox))
    return Standing(turn.instructions or None, tools)


def _is_notice(notification: Notification) -> bool:
    return notice_of(notification.method, notification.params) is not None

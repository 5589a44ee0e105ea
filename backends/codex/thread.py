"""A thread of the room behind Codex: its turns, one at a time, on the Codex thread of its `Conversation`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from backends.codex import client
from backends.codex.agent_tools import namespaces
from backends.codex.app_server import AppServer, Lost, Message
from backends.codex.client_tools import dynamic_tools
from backends.codex.conversation import Conversation
from backends.codex.failures import refused, steer_refused
from backends.codex.frame import Frame
from backends.codex.host import Host, Standing
from backends.codex.inputs import input_items
from backends.codex.memory import Memory
from backends.codex.notices import NOTICE, notice_of
from backends.codex.running import GivenUp, RunningTurn
from backends.codex.texts import input_text
from backends.codex.turn_settings import MODE, unsaid
from backends.codex.usage import TurnUsage
from process_agent.core.backend import (
    Answered,
    HistoryItem,
    ThreadState,
    TurnInput,
    UserMessage,
)
from process_agent.core.content import ContentPart, ErrorInfo, TextPart
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.events import BackendEvent, EndReason
from process_agent.core.ids import AskId, ItemId, ThreadId
from process_agent.core.senders import sender_line
from process_agent.errors import BackendError, ProcessError, RemoteError, TimeLimitError, TurnRefusedError
from process_agent.io.tasks import Tasks
from process_agent.wire.jsonrpc import METHOD_NOT_FOUND, Notification, Request

logger = logging.getLogger(__name__)

START_PATIENCE: Final = 10.0
"""Seconds a steer waits for its turn to be accepted."""

INTERRUPT_PATIENCE: Final = 5.0
"""Seconds Codex has to end a turn after it took in the interrupt; then it is ended without it."""

MAX_EARLY: Final = 20
"""Notices that arrive between turns and are kept for the next one."""

_REPEATS: Final = (0.05, 0.1, 0.2, 0.5, 1.0)


class CodexThread:
    """Implements the port `BackendThread`."""

    def __init__(
        self, host: Host, thread_id: ThreadId, history: Sequence[HistoryItem], state: ThreadState
    ) -> None:
        self._host = host
        self._memory = Memory(history)
        self._tasks = Tasks("codex thread")
        self._talk = Conversation(host, thread_id, self._memory, state, self._tasks, self._receive)
        self._turn: RunningTurn | None = None
        self._steering = asyncio.Lock()
        self._early: list[Notification] = []
        self._warned: set[str] = set()

    async def run(self, turn: TurnInput) -> AsyncIterator[BackendEvent]:
        """Run a turn; see the port."""
        if self._turn is not None:  # its reader left without closing it
            self._abandon(self._turn)
        running = self._turn = RunningTurn(self._frame(turn), turn.toolbox, self._tasks)
        self._memory.begin(turn.turn_id)
        self._talk.folder, self._talk.meter = running.frame.folder, turn.meter
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
            if not running.completed:
                self._talk.doubt()
            if running.codex_thread == self._talk.codex_thread:
                self._talk.used = running.mapper.usage.total

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        """Give the running turn more input; see the port."""
        async with self._steering:  # Codex gets one after the other, in the order of the calls
            await self._steer(content, sender_name)

    async def _steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
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
        self._memory.senders.heard(sender_name)
        said = UserMessage(content, sender_name, at=datetime.now(UTC))
        items = self._input(said)
        running.mapper.said_by_us(input_text(items))
        try:
            await client.steer_turn(server, thread, codex_turn, items)
        except ProcessError as error:
            info = steer_refused(error)
            raise TurnRefusedError(info.message, code=info.code) from error
        self._memory.said(said)

    async def interrupt(self) -> None:
        """Stop the running turn; see the port."""
        running = self._turn
        if running is not None and not running.interrupted:
            self._stop_in_background(running)

    async def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        """Answer an approval or a question; see the port."""
        return self._turn is not None and self._turn.decide(item_id, decision, answers)

    async def answer(self, ask_id: AskId, answer: Answered) -> bool:
        """Answer a client's tool or give a secret; see the port."""
        return self._turn is not None and self._turn.answer(ask_id, answer)

    async def close(self) -> None:
        """Stop what runs and let Codex forget the thread. Idempotent."""
        running = self._turn
        if running is not None and not running.over.is_set():
            await self._stop(running)
        await self._talk.close()
        await self._tasks.close()

    # --- Beginning -------------------------------------------------------------------------------

    def _frame(self, turn: TurnInput) -> Frame:
        model = turn.model.model or self._host.default_model().model
        return Frame(
            turn.turn_id,
            str(turn.folder or self._host.folder),
            client_tools=frozenset(tool.name for tool in turn.client_tools),
            toolkits=frozenset(kit.name for kit in turn.toolbox.toolkits) if turn.toolbox else frozenset(),
            compact=turn.compact,
            compacts_at=lambda window: self._host.compacts_at(model, window),
            meter=turn.meter,
            purpose="compaction" if turn.compact else "turn",
        )

    async def _begin(self, running: RunningTurn, turn: TurnInput) -> list[BackendEvent]:
        """Have Codex accept the turn. Returns the end of the turn when it does not."""
        mapper = running.mapper
        if turn.compact and not self._memory.items():
            nothing = mapper.notice(NOTICE, "There is nothing to compact: nobody has said anything yet.")
            return [*nothing, *mapper.finish(EndReason.COMPLETED)]
        self._memory.senders.heard(turn.sender_name)
        said = UserMessage(turn.content, turn.sender_name, at=datetime.now(UTC))
        items = self._input(said)
        mapper.said_by_us(input_text(items))
        try:
            accepted = await self._accepted(running, turn, items)
        except TurnRefusedError as error:
            return mapper.finish(EndReason.FAILED, ErrorInfo(str(error), error.code))
        except ProcessError as error:
            return mapper.finish(EndReason.FAILED, refused(error, "codex_turn_start_failed"))
        finally:
            if not turn.compact:
                self._memory.said(said)
        if not accepted:
            return mapper.finish(EndReason.INTERRUPTED)
        notice = self._talk.take_notice()
        return [] if notice is None else mapper.notice(NOTICE, notice)

    def _input(self, said: UserMessage) -> list[dict[str, Any]]:
        """A message as Codex takes it, with the line that says who wrote it where several do."""
        line = [TextPart(sender_line(said.sender_name, said.at))] if self._memory.senders.several else []
        return input_items([*line, *said.content])

    async def _accepted(self, running: RunningTurn, turn: TurnInput, items: list[dict[str, Any]]) -> bool:
        """Start the turn, again if Codex dies before it took it. False when it was interrupted before."""
        model = turn.model.model or self._host.default_model().model
        standing = None if turn.compact else _standing(turn, self._host.endpoint_of(turn.model))
        settings = {} if turn.compact else self._host.turn_settings(turn, self._memory.senders.rule())
        for attempt in (1, 2):
            server, thread = await self._talk.connected(model, standing, turn.turn_id, turn.replaces)
            if running.interrupted:
                return False
            running.goes_to(server, thread, self._talk.used, self._talk.record)
            try:
                await self._start(running, server, thread, items, settings, model)
            except ProcessError as error:
                if server.alive and not isinstance(error, RemoteError):
                    self._talk.leave()  # it may begin yet
                if attempt == 2 or server.alive:
                    raise
                continue
            self._talk.model = model
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
        settings: dict[str, Any],
        model: str | None,
    ) -> None:
        if not running.frame.compact:
            known, self._talk.mode = self._talk.mode, None
            running.accepted(await client.start_turn(server, thread, items, unsaid(settings, known)))
            self._talk.mode = settings.get(MODE)
            return
        if model is not None and model != self._talk.model:
            self._talk.mode = None
            await client.change_model(server, thread, model)
        await client.compact_thread(server, thread)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE):
                await running.begun.wait()
        if running.codex_turn is None:
            raise BackendError("Codex did not begin to compact the conversation.")

    def _receive(self, message: Message) -> None:
        running = self._turn
        if isinstance(message, Notification) and (self._seen_before(message) or self._is_earlier(message)):
            return
        if isinstance(message, Lost):
            self._talk.lose()
        if running is not None:
            running.hear(message)
        elif isinstance(message, Request) and self._talk.server is not None:
            self._talk.server.refuse(message.id, METHOD_NOT_FOUND, "no turn is running")
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

    def _is_earlier(self, notification: Notification) -> bool:
        """Codex says again what an earlier turn had used when its thread is resumed."""
        if notification.method != "thread/tokenUsage/updated":
            return False
        if not self._talk.is_earlier(notification.params.get("turnId")):
            return False
        before = TurnUsage(lambda window: window)
        before.update(notification.params)
        self._talk.used = before.total
        if self._turn is not None:
            self._turn.mapper.usage.begin(before.total)
        return True

    # --- Stopping --------------------------------------------------------------------------------

    def _abandon(self, running: RunningTurn) -> None:
        """Nobody listens to this turn any more: stop it, and leave its Codex thread, which may go on."""
        running.over.set()
        turn, stopping = running.codex_turn, running.interrupted
        if running.codex_thread is None or running.codex_thread != self._talk.codex_thread:
            return
        running.interrupted = stopping or turn is not None

        async def clear_up(server: AppServer, thread: str) -> None:
            if turn is not None and not stopping:
                await self._interrupt(running, server, thread, turn)
                await client.clean_terminals(server, thread)
                server.stopped_a_turn()

        self._talk.leave(clear_up)

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
        heard = await self._interrupt(running, server, thread, codex_turn)
        try:
            async with asyncio.timeout(INTERRUPT_PATIENCE if heard else 0):
                with contextlib.suppress(ProcessError):
                    await client.clean_terminals(server, thread)
                await running.over.wait()
                server.stopped_a_turn()
        except TimeoutError:
            logger.warning("Codex did not end an interrupted turn; its thread is made anew")
            if self._talk.codex_thread == thread:
                self._talk.leave()
            running.hear(GivenUp())

    async def _interrupt(self, running: RunningTurn, server: AppServer, thread: str, turn: str) -> bool:
        """Right after `turn/start` Codex may not know the turn yet, so a refusal is tried again. False when
        there was no answer. Where many stop, it waits here until Codex is asked; its patience begins then.
        """
        for pause in _REPEATS:
            try:
                await client.interrupt_turn(server, thread, turn)
                return True
            except RemoteError:
                if running.over.is_set():
                    return True
                await asyncio.sleep(pause)
            except TimeLimitError:
                return False
            except BackendError:  # it is gone, which ends its turns
                return True
        return True


def _standing(turn: TurnInput, provider: str | None) -> Standing:
    tools = (*dynamic_tools(turn.client_tools), *namespaces(turn.toolbox))
    return Standing(turn.instructions or None, tools, provider, turn.mcp_servers)


def _is_notice(notification: Notification) -> bool:
    return notice_of(notification.method, notification.params) is not None

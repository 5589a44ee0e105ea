"""One thread: what its model knows, and the turn that runs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Final

from backends.llm import compaction, documents
from backends.llm.calling import Waiting
from backends.llm.conversation import Conversation
from backends.llm.efforts import effort_of
from backends.llm.estimates import of_frame
from backends.llm.failures import told, waiting
from backends.llm.host import Host
from backends.llm.hosted import in_words, reads_reasoning, to_be_kept, tool_names
from backends.llm.output import Output
from backends.llm.running import RunningTurn, failed
from backends.llm.summarising import Summariser
from backends.llm.tools import RunningCalls, TurnTools, tools_of
from process_agent.core.backend import Answered, HistoryItem, TurnInput
from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.decisions import NO_ANSWERS, Answers, Decision
from process_agent.core.events import (
    BackendEvent,
    ContextCompacted,
    EndReason,
    TextDelta,
    TurnEnded,
    UsageUpdated,
    Working,
)
from process_agent.core.ids import AskId, ItemId, ThreadId
from process_agent.core.providers import ModelProvider
from process_agent.core.usage import ContextWindow
from process_agent.errors import ProcessError, TurnRefusedError
from process_agent.io.interruption import Interrupted
from process_agent.io.tasks import Tasks, rounds
from process_agent.wire.llm import events as e
from process_agent.wire.llm.dialects import CODECS
from process_agent.wire.llm.request import ModelRequest, OutputSchema

logger = logging.getLogger(__name__)

MAX_CALLS: Final = 200
"""Model calls of one turn."""

INTERRUPTED: Final = ErrorInfo("The turn was interrupted.", "cancelled")
ENDED: Final = ErrorInfo("The turn ended before this did.", "turn_ended")

NOTHING: Final = ErrorInfo("There is nothing to compact: nobody has said anything yet.", "nothing_to_compact")

ROUNDS_TO_TELL: Final = 2
"""Rounds of the event loop in which what was said gets to the socket."""

NOT_DONE: Final = "Nothing came back: the turn ended before."


class LlmThread:
    """Implements the port `BackendThread`."""

    def __init__(self, host: Host, thread_id: ThreadId, history: Sequence[HistoryItem]) -> None:
        self._host = host
        self._conversation = Conversation(history)
        self._cache_key = hashlib.sha256(thread_id.encode()).hexdigest()[:32]
        self._turn: RunningTurn | None = None
        self._tasks = Tasks("llm thread")

    async def run(self, turn: TurnInput) -> AsyncGenerator[BackendEvent]:
        """Run a turn; see the port."""
        running = self._turn = RunningTurn(turn)
        try:
            end = TurnEnded(EndReason.COMPLETED)
            try:
                async with aclosing(self._work(running)) as events:
                    async for event in events:
                        if isinstance(event, TurnEnded):
                            end = event
                        else:
                            yield event
            except Interrupted:
                end = TurnEnded(EndReason.INTERRUPTED)
            except TurnRefusedError as error:
                end = failed(ErrorInfo(str(error), error.code))
            except ProcessError as error:
                end = failed(ErrorInfo(str(error), "model_failed"))
            running.refuse_steers()
            for event in running.close(INTERRUPTED if end.reason is EndReason.INTERRUPTED else ENDED):
                yield event
            for event in self._usage(running):  # of an answer that broke off
                yield event
            yield end
        finally:
            running.refuse_steers()
            self._keep(running)
            if self._turn is running:
                self._turn = None

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        """Give the running turn more input; the model gets it with its next call."""
        running = self._turn
        if running is None or running.over or running.interruption.asked:
            raise TurnRefusedError("The turn takes no more input.", code="turn_not_in_progress")
        if running.input.compact:
            text = "The conversation is being compacted; say it again when that is done."
            raise TurnRefusedError(text, code="turn_not_in_progress")
        await running.steer(content, sender_name)

    async def interrupt(self) -> None:
        """Stop the running turn; see the port."""
        if self._turn is not None:
            self._turn.interruption.ask()

    async def decide(self, item_id: ItemId, decision: Decision, answers: Answers = NO_ANSWERS) -> bool:
        """Nothing here waits for approvals: tools of the agent see to theirs."""
        return False

    async def answer(self, ask_id: AskId, answer: Answered) -> bool:
        """Answer a client's tool; see the port."""
        calls = None if self._turn is None else self._turn.calls
        return calls is not None and calls.answer(ask_id, answer)

    async def close(self) -> None:
        """Stop what runs. Idempotent."""
        await self.interrupt()
        await self._tasks.close()

    # --- A turn ----------------------------------------------------------------------------------

    async def _work(self, running: RunningTurn) -> AsyncGenerator[BackendEvent]:
        turn = running.input
        provider, model = self._host.provider(turn.model)
        if turn.compact:
            async for event in self._compact(running, provider, model, automatic=False):
                yield event
            return
        running.effort = effort_of(provider, model, turn.effort, self._host.effort)
        tools = tools_of(turn)
        running.output = Output(turn.turn_id, tools.names, provider.name)
        self._conversation.fill.frame = of_frame(self._instructions(turn), tools.offered)
        self._conversation.said(turn.content, turn.sender_name)
        for _ in range(MAX_CALLS):
            async with aclosing(self._answer(running, provider, model, tools)) as events:
                async for event in events:
                    yield event
            if running.end is not None:
                yield running.end
                return
            if running.output.calls:
                async with aclosing(self._call_tools(running, tools)) as events:
                    async for event in events:
                        yield event
            elif not running.steers and not running.goes_on:
                running.over = True  # from here on no steer is taken
                return
        text = f"The turn was ended after {MAX_CALLS} calls of the model."
        yield failed(ErrorInfo(text, "too_many_model_calls"))

    async def _answer(
        self, running: RunningTurn, provider: ModelProvider, model: str, tools: TurnTools
    ) -> AsyncGenerator[BackendEvent]:
        """Ask the model once, shortening the conversation before if it does not fit."""
        for attempt in (1, 2):
            if attempt == 2 or self._is_full(running, provider, model):
                async with aclosing(self._compact(running, provider, model, automatic=True)) as events:
                    async for event in events:
                        yield event
                if running.end is not None:
                    return
            for content, sender_name in running.take_steers():
                self._conversation.said(content, sender_name)
            async with aclosing(self._ask(running, provider, model, tools)) as events:
                async for event in events:
                    yield event
            failure = running.failure
            if failure is None:
                return
            too_long = failure.kind is e.ErrorKind.CONTEXT_LENGTH and not running.output.said
            if not too_long or attempt == 2:
                running.end = failed(self._told(failure, provider, model))
                return

    def _told(self, failure: e.ApiError, provider: ModelProvider, model: str) -> ErrorInfo:
        """A failure for people. What may come of a document must not come again with every turn."""
        info = told(failure, provider, model)
        refused = failure.kind in (e.ErrorKind.BAD_REQUEST, e.ErrorKind.TOO_LARGE)
        if refused and self._conversation.put_documents_in_words():
            text = f"{info.message} From now on the model is told only the names of the documents here."
            return ErrorInfo(text, info.code)
        return info

    def _is_full(self, running: RunningTurn, provider: ModelProvider, model: str) -> bool:
        limit = self._limit(running, provider, model)
        tokens = self._conversation.fill.tokens(_full(provider, model)) + running.steer_tokens()
        return limit is not None and tokens > limit

    def _limit(self, running: RunningTurn, provider: ModelProvider, model: str) -> int | None:
        """The fill at which the conversation is shortened, in tokens; None where the context is not known."""
        window = self._host.window(running.input.model)
        if window is None:
            return None
        reasons, adapts = provider.reasons(model), provider.adapts(model)
        answer = CODECS[provider.dialect].longest(reasons, running.effort, provider.max_output, adapts)
        return compaction.compacts_at(window, answer)

    async def _ask(
        self, running: RunningTurn, provider: ModelProvider, model: str, tools: TurnTools
    ) -> AsyncGenerator[BackendEvent]:
        output, conversation, told = running.output, self._conversation, False
        output.begin()
        running.failure = None
        if unread := documents.unread(conversation.items, provider):
            yield Working("Reading documents")
            conversation.looked_into(await running.interruption.wait(lambda: documents.looked_into(unread)))
        request = self._request(running, provider, model, tools)
        running.take_count()
        yield Working("Thinking")
        asked = self._host.calls.ask(provider, request, running.interruption, running)
        async with aclosing(asked) as heard:
            async for event in heard:
                match event:
                    case Waiting(error, seconds):
                        yield Working(waiting(error, provider, seconds))
                    case e.Broken(error):
                        running.failure = error
                    case e.Ended(reason):
                        running.finish(reason, provider, model)
                        conversation.add(*to_be_kept(output.said))
                        output.said = []
                    case _:
                        for shown in output.take(event):
                            yield shown
                            if not told and isinstance(shown, TextDelta):
                                told = True
                                await rounds(ROUNDS_TO_TELL)
        if (tokens := running.take_count()) is not None:
            conversation.fill.counted(tokens, _full(provider, model))
        for event_of_usage in self._usage(running):
            yield event_of_usage

    def _request(
        self, running: RunningTurn, provider: ModelProvider, model: str, tools: TurnTools
    ) -> ModelRequest:
        turn, conversation = running.input, self._conversation
        schema = turn.output_schema
        search, image_model = self._host.hosted(provider)
        hosted, reasoning = tool_names(search, image_model), reads_reasoning(provider, model)
        return ModelRequest(
            model=model,
            items=conversation.as_read.items(conversation.items, provider, hosted, reasoning=reasoning),
            search=search,
            image_model=image_model,
            instructions=self._instructions(turn),
            tools=tools.offered,
            origin=provider.name,
            output=None if schema is None else OutputSchema("answer", schema),
            reasons=provider.reasons(model),
            adaptive=provider.adapts(model),
            effort=running.effort,
            reasoned_calls=provider.calls_after_reasoning(model),
            max_output=provider.max_output,
            cache_key=self._cache_key,
            built=conversation.built,
            extra=provider.extra,
        )

    def _instructions(self, turn: TurnInput) -> str:
        about = (self._host.instructions, self._conversation.senders.rule(), turn.rules, turn.instructions)
        return "\n\n".join(text for text in about if text)

    async def _call_tools(self, running: RunningTurn, tools: TurnTools) -> AsyncGenerator[BackendEvent]:
        output, wanted = running.output, running.output.calls
        asked = running.calls.asked if running.calls else 0
        calls = running.calls = RunningCalls(tools, output, self._tasks, asked)
        for event in calls.start(running.input.turn_id, wanted):
            yield event
        for _ in wanted:
            yield await calls.next(running.interruption)
        self._conversation.add(*calls.outputs(wanted))

    async def _compact(
        self, running: RunningTurn, provider: ModelProvider, model: str, *, automatic: bool
    ) -> AsyncGenerator[BackendEvent]:
        if not self._conversation.items:
            running.end = failed(NOTHING)
            if not automatic:
                yield running.end
            return
        yield Working("Compacting context", steerable=automatic)
        window = self._host.window(running.input.model)
        summariser = Summariser(self._host.calls, provider, model, window, self._host.instructions)
        summary = await summariser.summarise(self._conversation.items, running.interruption, running)
        if isinstance(summary, ErrorInfo):
            running.end = failed(summary)
            if not automatic:
                yield running.end
            return
        self._conversation.summarised(summary, compaction.room_for_said(summariser.window))
        yield ContextCompacted(running.checkpoint(), automatic, summary)
        for event in self._usage(running):
            yield event

    def _usage(self, running: RunningTurn) -> Iterator[UsageUpdated]:
        """What the turn has used and how full the context is, unless that was told."""
        if running.usage == running.told:
            return
        running.told = running.usage
        provider, model = self._host.provider(running.input.model)
        used = self._conversation.fill.tokens(_full(provider, model))
        window = self._host.window(running.input.model)
        limit = self._limit(running, provider, model)
        yield UsageUpdated(running.usage, ContextWindow(used, window, limit))

    def _keep(self, running: RunningTurn) -> None:
        """What was said and done by now stays, whatever ended the turn; no call stays without an output."""
        conversation = self._conversation
        # Reasoning without what it led to is refused by providers, and the other way around.
        conversation.add(*in_words(running.output.said))
        running.output.said = []
        if running.calls is not None:
            done = running.calls.outputs(running.output.calls)
            known = conversation.items[-len(done) :] if done else []
            if known != done:
                conversation.add(*done)
        conversation.close_calls(NOT_DONE)


def _full(provider: ModelProvider, model: str) -> str:
    """What tells one model from another."""
    return f"{provider.name}/{model}"

"""A turn that runs: what it was given, what it used, and how it is to end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from backends.llm.estimates import of_item
from backends.llm.output import Output
from backends.llm.parts import said
from backends.llm.tools import RunningCalls
from process_agent.core.backend import TurnInput
from process_agent.core.content import ContentPart, ErrorInfo
from process_agent.core.events import BackendEvent, EndReason, TurnEnded
from process_agent.core.providers import ModelProvider
from process_agent.core.usage import ModelCall, Usage
from process_agent.errors import TurnRefusedError
from process_agent.io.interruption import Interruption
from process_agent.wire.llm import events as e

type Said = tuple[tuple[ContentPart, ...], str | None]
"""What somebody said, and who."""


class _Steer:
    """Input for the running turn; `taken` is done once a request has it, or none will."""

    def __init__(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        self.content = content
        self.sender_name = sender_name
        self.taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class RunningTurn:
    """The turn that runs. `over` once it takes no more input, `end` when it cannot go on, `goes_on` when the
    provider wants to be asked again. It is the meter of its own calls: `usage` is of the whole turn.
    """

    def __init__(self, given: TurnInput) -> None:
        self.input = given
        self.interruption = Interruption()
        self.output = Output(given.turn_id, {})
        self.calls: RunningCalls | None = None
        self.steers: list[_Steer] = []
        """What no request has yet."""
        self.over = False
        self.goes_on = False
        self.effort: str | None = None
        self.end: TurnEnded | None = None
        self.failure: e.ApiError | None = None
        """Why the last call of the model failed."""
        self.usage = self.told = Usage()
        self._counted: int | None = None
        self._checkpoints = 0

    async def steer(self, content: tuple[ContentPart, ...], sender_name: str | None) -> None:
        """Wait until a request has this. Raises `TurnRefusedError` when the turn ends without one."""
        steer = _Steer(content, sender_name)
        self.steers.append(steer)
        try:
            await steer.taken
        except asyncio.CancelledError:
            if steer in self.steers:  # nobody would hear that it was taken
                self.steers.remove(steer)
            raise

    def take_steers(self) -> list[Said]:
        """What is to be in the request that is about to be made."""
        if self.interruption.asked:  # there will be no request
            return []
        taken, self.steers = self.steers, []
        for steer in taken:
            if not steer.taken.done():
                steer.taken.set_result(None)
        return [(steer.content, steer.sender_name) for steer in taken]

    def refuse_steers(self) -> None:
        """The turn is over: what waits does not get to the model with it, nor unseen with the next one."""
        self.over = True
        refused, self.steers = self.steers, []
        for steer in refused:
            if not steer.taken.done():
                text = "The turn ended before it took this up; send it as a new turn."
                steer.taken.set_exception(TurnRefusedError(text, code="turn_ended"))

    def steer_tokens(self) -> int:
        """About how many tokens wait for the next request."""
        return sum(of_item(said(steer.content)) for steer in self.steers)

    def finish(self, reason: e.StopReason, provider: ModelProvider, model: str) -> None:
        """An answer came to its end."""
        self.goes_on = reason is e.StopReason.PAUSED
        who = provider.friendly_name
        match reason:
            case e.StopReason.LENGTH:
                text = f"The answer was cut off: it reached the longest that {model} may answer."
                self.end = failed(ErrorInfo(text, "output_limit_reached"))
            case e.StopReason.CONTEXT:
                text = f"The answer was cut off: the context of {model} is full. /compact makes room."
                self.end = failed(ErrorInfo(text, "context_window_exceeded"))
            case e.StopReason.REFUSED if not self.output.refused:
                self.end = failed(ErrorInfo(f"{who} refused to answer this.", "model_refused"))
            case _:
                pass

    def used(self, call: ModelCall) -> None:
        """An answer is over; see `core.usage.Meter`."""
        if call.usage is not None:
            self.usage += call.usage
            self._counted = call.usage.total if call.whole else None
        self.input.meter.used(call)

    def take_count(self) -> int | None:
        """Tokens that the provider counted in the last answer and everything before it, told once."""
        counted, self._counted = self._counted, None
        return counted

    def checkpoint(self) -> str:
        """A name for the next compaction."""
        self._checkpoints += 1
        return f"{self.input.turn_id}:compacted-{self._checkpoints}"

    def close(self, error: ErrorInfo) -> Iterator[BackendEvent]:
        """Whatever is open ends."""
        if self.calls is not None:
            yield from self.calls.stop(error.message)
        yield from self.output.close(error)


def failed(error: ErrorInfo) -> TurnEnded:
    """The end of a turn that failed."""
    return TurnEnded(EndReason.FAILED, error)

"""One model call: asked again while nothing of an answer was shown and the failure may pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final

from backends.llm.failures import PASSING, http_failure
from process_agent.core.providers import ModelProvider
from process_agent.core.usage import UNMETERED, Meter, ModelCall, Purpose, Usage
from process_agent.errors import HttpError
from process_agent.io.backoff import Backoff
from process_agent.io.http_stream import HttpAnswer, HttpStreams, Outgoing
from process_agent.io.interruption import Interruption
from process_agent.io.tasks import Tasks
from process_agent.wire.llm import events as e
from process_agent.wire.llm.dialects import CODECS, headers
from process_agent.wire.llm.failures import http_error
from process_agent.wire.llm.reader import StreamReader
from process_agent.wire.llm.request import ModelRequest

REST_SECONDS: Final = 2.0
"""How long the end of an answer may take after its last event; a connection that has not ended is cut."""

_SHOWN: Final = (e.TextDelta, e.ReasoningDelta, e.CallBegun, e.HostedBegun, e.HostedDone)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The provider failed, and is asked again after so many seconds."""

    error: e.ApiError
    seconds: float


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a failed call is tried in all, and how long to wait in between. A provider that asks for more
    than `longest` seconds is not waited for; one that says nothing is asked twice only.
    """

    tries: int = 5
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, ceiling=8.0))
    longest: float = 60.0

    def pause(self, error: e.ApiError, attempt: int) -> float | None:
        """Seconds until the next try, None for no other; `attempt` counts from 1."""
        tries = min(self.tries, 2) if error.kind is e.ErrorKind.SILENT else self.tries
        if error.kind not in PASSING or attempt >= tries:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest else None
        return next(islice(self.backoff.delays(), attempt - 1, None))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is, and how to let it pass."""

    now: Callable[[], datetime] = _now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


type Heard = e.StreamEvent | Waiting


class ModelCalls:
    """Calls models of any provider. Whoever makes it closes it."""

    def __init__(self, streams: HttpStreams, retries: Retries, clock: Clock | None = None) -> None:
        self._streams = streams
        self._retries = retries
        self._clock = clock or Clock()
        self._tasks = Tasks("model calls")

    async def ask(
        self,
        provider: ModelProvider,
        request: ModelRequest,
        interruption: Interruption,
        meter: Meter = UNMETERED,
        purpose: Purpose = "turn",
    ) -> AsyncGenerator[Heard]:
        """The answer, whose last event is `Ended` or `Broken`. Raises `Interrupted`; the request to the
        provider is over as soon as this is closed or interrupted. `meter` hears once of every answer that
        was begun, also of one that broke off, that nobody waited for, or that was asked for again.
        """
        codec = CODECS[provider.dialect]
        outgoing = Outgoing(
            provider.base_url + codec.path,
            headers(provider.dialect, provider.key),
            codec.encode(request),
        )
        attempt = 0
        while True:
            attempt += 1
            shown, failure = False, None
            reader = codec.reader(provider.name)
            async with aclosing(self._metered(reader, outgoing, interruption, meter, purpose)) as heard:
                async for event in heard:
                    if isinstance(event, e.Broken):
                        failure = event.error
                    else:
                        shown = shown or isinstance(event, _SHOWN)
                        yield event
            if failure is None:
                return
            pause = None if shown else self._retries.pause(failure, attempt)
            if pause is None:
                yield e.Broken(failure)
                return
            yield Waiting(failure, pause)
            await interruption.wait(partial(self._clock.sleep, pause))

    async def close(self) -> None:
        """Stop what is under way. Idempotent."""
        await self._tasks.close()
        await self._streams.close()

    async def _metered(
        self,
        reader: StreamReader,
        outgoing: Outgoing,
        interruption: Interruption,
        meter: Meter,
        purpose: Purpose,
    ) -> AsyncGenerator[e.StreamEvent]:
        """One attempt."""
        whole = False
        try:
            async with aclosing(self._once(reader, outgoing, interruption)) as heard:
                async for event in heard:
                    whole = whole or isinstance(event, e.Ended)
                    yield event
        finally:
            if reader.begun:
                meter.used(ModelCall(usage_of(reader.usage), purpose, whole, reader.response_id))

    async def _once(
        self, reader: StreamReader, outgoing: Outgoing, interruption: Interruption
    ) -> AsyncGenerator[e.StreamEvent]:
        answer = self._streams.post(outgoing, interruption)
        whole = False
        try:
            status = await answer.open()
            if status >= 300:
                body = await answer.error_body()
                yield e.Broken(http_error(status, answer.headers, body, self._clock.now()))
                return
            async with aclosing(answer.pieces()) as pieces:
                async for piece in pieces:
                    for event in reader.feed(piece):
                        yield event
                    if reader.over:
                        break
            for event in reader.eof():
                yield event
            whole = True
        except HttpError as error:
            yield e.Broken(http_failure(error))
        finally:
            if whole:
                self._tasks.start(_finish(answer), "rest of an answer")
            else:
                await answer.close()


def usage_of(told: e.TokenUsage | None) -> Usage | None:
    """Tokens as the room counts them."""
    if told is None:
        return None
    counts = (told.input, told.cached, told.output, told.reasoning, told.cache_written, told.searches)
    return Usage(*counts, told.images)


async def _finish(answer: HttpAnswer) -> None:
    """Read what comes after the last event, so that the connection can be used again."""
    await answer.drain(REST_SECONDS)

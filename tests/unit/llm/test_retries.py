"""How often and after how long a model is asked again, on a clock that only moves when somebody waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest

from backends.llm.calling import Clock, Heard, ModelCalls, Retries, Waiting
from backends.llm.failures import told, waiting
from process_agent.core.providers import ModelProvider
from process_agent.io.backoff import Backoff
from process_agent.io.http_stream import HttpAnswer, HttpLimits, HttpStreams, Outgoing
from process_agent.io.interruption import Interrupted, Interruption
from process_agent.wire.llm import events as e
from process_agent.wire.llm.request import Message, ModelRequest, Text

MORNING = datetime(2026, 1, 1, 8, tzinfo=UTC)
PROVIDER = ModelProvider("us", "Us", "chat", "http://127.0.0.1:1", "sk-secret-key", local=True)
REQUEST = ModelRequest("m", (Message("user", (Text("hi"),)),))
SAID = b'data: {"choices": [{"delta": {"content": "yes"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'

type Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Hands:
    """A clock that moves by what is waited."""

    waited: list[float] = field(default_factory=list)
    interruption: Interruption | None = None
    """Asked for an end while somebody waits."""

    def now(self) -> datetime:
        return MORNING + timedelta(seconds=sum(self.waited))

    async def sleep(self, seconds: float) -> None:
        if self.interruption is not None:
            self.interruption.ask()
            await asyncio.Event().wait()
        self.waited.append(seconds)

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.sleep)


class Answer(HttpAnswer):
    """One reply, without a connection."""

    def __init__(self, reply: Reply, outgoing: Outgoing, interruption: Interruption) -> None:
        super().__init__(cast(httpx.AsyncClient, None), HttpLimits(), outgoing, interruption)
        self._reply = reply

    async def open(self) -> int:
        return self._reply[0]

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply[1]

    async def error_body(self) -> bytes:
        return self._reply[2]

    async def pieces(self) -> AsyncGenerator[bytes]:
        yield self._reply[2]

    async def drain(self, seconds: float) -> None:
        pass

    async def close(self) -> None:
        pass


class Streams(HttpStreams):
    """Gives these replies, one after the other."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        super().__init__()
        self.left = [*replies]

    def post(self, outgoing: Outgoing, interruption: Interruption) -> HttpAnswer:
        return Answer(self.left.pop(0), outgoing, interruption)


async def ask(
    replies: Sequence[Reply], hands: Hands, interruption: Interruption | None = None
) -> tuple[list[Heard], int]:
    """What is heard, and how many replies were not asked for."""
    streams = Streams(replies)
    calls = ModelCalls(streams, Retries(backoff=Backoff(1.0, 8.0, jitter=0.0)), hands.clock)
    try:
        asked = calls.ask(PROVIDER, REQUEST, interruption or Interruption())
        return [event async for event in asked], len(streams.left)
    finally:
        await calls.close()


def refusal(status: int = 429, body: Any = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps(body or {}).encode()


def reset(milliseconds: float) -> Any:
    headers = {"X-RateLimit-Reset": str(round(MORNING.timestamp() * 1000 + milliseconds))}
    return {"error": {"code": 429, "message": "Rate limit exceeded", "metadata": {"headers": headers}}}


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (refusal(retry_after="7"), 7.0),
        (refusal(retry_after="0"), 0.0),
        (refusal(retry_after="60"), 60.0),
        (refusal(retry_after="Thu, 01 Jan 2026 08:00:30 GMT"), 30.0),
        (refusal(retry_after="Thu, 01 Jan 2026 07:00:00 GMT"), 0.0),
        (refusal(retry_after_ms="1250", retry_after="2"), 1.25),
        (refusal(retry_after="soon"), 1.0),
        (refusal(body={"error": {"message": "Please try again in 20s."}}), 20.0),
        (refusal(body=reset(45_000)), 45.0),
        (refusal(503, retry_after="3"), 3.0),
        (refusal(529, {"error": {"type": "overloaded_error"}}), 1.0),
    ],
)
async def test_a_provider_is_left_alone_as_long_as_it_asks(reply: Reply, seconds: float) -> None:
    hands = Hands()
    heard, left = await ask([reply, (200, {}, SAID)], hands)
    assert hands.waited == [seconds]
    assert (heard[-1], left) == (e.Ended(e.StopReason.END), 0)
    [pause] = [event for event in heard if isinstance(event, Waiting)]
    assert waiting(pause.error, PROVIDER, pause.seconds).endswith(f"in {max(round(seconds), 1)} s")


async def test_a_date_is_read_with_the_time_of_the_answer_it_came_in() -> None:
    hands, at = Hands(), "Thu, 01 Jan 2026 08:00:30 GMT"
    replies = [refusal(retry_after="20"), refusal(retry_after=at), (200, {}, SAID)]
    heard, _ = await ask(replies, hands)
    assert hands.waited == [20.0, 10.0]
    assert isinstance(heard[-1], e.Ended)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (refusal(retry_after="61"), "It asks to try again in 61 s."),
        (refusal(retry_after="7200"), "It asks to try again in 2 hours."),
        (refusal(retry_after="Thu, 01 Jan 2026 08:10:00 GMT"), "It asks to try again in 10 minutes."),
        (refusal(retry_after_ms="90000"), "It asks to try again in 90 s."),
        (refusal(body={"error": {"message": "Please try again in 6m0s."}}), "in 6 minutes."),
        (refusal(body={"error": {"message": "Please try again in 1h2m3.5s."}}), "in 62 minutes."),
        (refusal(body=reset(14 * 3_600_000)), "It asks to try again in 14 hours."),
        (refusal(retry_after="9" * 400), "It asks to try again in 7 days."),
    ],
)
async def test_one_that_asks_for_too_much_is_not_waited_for_and_people_read_how_long(
    reply: Reply, says: str
) -> None:
    hands = Hands()
    heard, left = await ask([reply, (200, {}, SAID)], hands)
    [broken] = heard
    assert (hands.waited, left) == ([], 1)
    assert isinstance(broken, e.Broken)
    info = told(broken.error, PROVIDER, "m")
    assert info.code == "model_rate_limited"
    assert says in info.message
    assert "sk-secret-key" not in info.message


async def test_without_a_word_of_it_waits_double_and_end() -> None:
    hands = Hands()
    heard, left = await ask([refusal(503)] * 6, hands)
    assert hands.waited == [1.0, 2.0, 4.0, 8.0]
    assert left == 1
    assert isinstance(heard[-1], e.Broken)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413])
async def test_what_does_not_pass_is_not_tried_again(status: int) -> None:
    hands = Hands()
    heard, left = await ask([refusal(status, retry_after="1"), (200, {}, SAID)], hands)
    assert (hands.waited, left, type(heard[-1])) == ([], 1, e.Broken)


async def test_no_credit_is_told_at_once_whatever_the_status() -> None:
    hands = Hands()
    for code in ("insufficient_quota", "credit_balance_exhausted", "exceeded_current_quota_error"):
        heard, left = await ask([refusal(body={"error": {"type": code}}), (200, {}, SAID)], hands)
        [broken] = heard
        assert isinstance(broken, e.Broken)
        assert (broken.error.kind, left, hands.waited) == (e.ErrorKind.QUOTA, 1, [])


async def test_an_answer_that_was_shown_is_not_asked_for_again() -> None:
    hands, cut = Hands(), SAID.partition(b"\n\n")[0].replace(b'"stop"', b"null") + b"\n\n"
    heard, left = await ask([(200, {}, cut), (200, {}, SAID)], hands)
    assert (hands.waited, left, type(heard[-1])) == ([], 1, e.Broken)


async def test_waiting_ends_with_an_interrupt() -> None:
    interruption = Interruption()
    hands = Hands(interruption=interruption)
    with pytest.raises(Interrupted):
        await ask([refusal(retry_after="50"), (200, {}, SAID)], hands, interruption)
    assert hands.waited == []


def test_silence_is_tried_twice() -> None:
    retries = Retries(backoff=Backoff(1.0, 8.0, jitter=0.0))
    silent = e.ApiError(e.ErrorKind.SILENT, "")
    assert [retries.pause(silent, attempt) for attempt in (1, 2)] == [1.0, None]

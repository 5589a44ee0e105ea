"""Kills real programs at random moments of scripted conversations, and looks at what the room has after."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from process_agent.core import events as e
from process_agent.core.content import plain_text
from process_agent.core.ids import ThreadId
from process_agent.core.room import TableRef
from process_agent.core.turn_output import NOTICE
from process_agent.threads.reading import Reading
from process_agent.threads.rows import Row, from_table
from process_agent.threads.sequence import writer_of
from tests.crash.programs import Person, Programs, running

TARGETS = ("agent", "room", "codex", "agent and room", "codex and agent")
KILLS_A_THREAD = 5
WORDS = 40
KEPT_AFTER = 1.0
"""Seconds after which text that people saw has to be in the room."""

SPEECH_SECONDS = 1.5


@dataclass
class Asked:
    """A turn that somebody asked for, and all that its model would say."""

    source: str
    text: str
    speech: str
    turn: str | None = None


@dataclass
class Conversation:
    """One thread, and what was asked in it."""

    thread: ThreadId | None = None
    asked: list[Asked] = field(default_factory=list)


class RealKills:
    """Kills one or two programs a time; see `once`."""

    def __init__(self, programs: Programs, person: Person, seed: int) -> None:
        self._programs = programs
        self._person = person
        self._chance = random.Random(seed)
        self._talk = Conversation()
        self._number = 0
        self.last = ""

    async def once(self) -> str:
        """Ask, kill at a random moment, start again what was killed, ask again, and look at everything.
        Returns what was killed. Raises `AssertionError`.
        """
        if self._number % KILLS_A_THREAD == 0:
            self._talk = Conversation()
        self._number += 1
        chance, target = self._chance, self._chance.choice(TARGETS)
        self.last, already = target, len(self._talk.asked)
        await self._ask()
        if chance.random() < 0.4:
            await self._ask()
        await asyncio.sleep(chance.uniform(0.0, SPEECH_SECONDS + 0.3))
        killed_at = time.monotonic()
        for what in target.split(" and "):
            self._programs.kill(what)
        await self._start_again(target)
        ping = await self._ask(words=3)
        ended = await self._person.until(lambda: self._end_of(ping))
        assert ended.get("error") is None, f"the next turn failed: {ended['error']}"
        await self._look(killed_at, self._talk.asked[already:])
        return target

    async def _ask(self, words: int = WORDS) -> Asked:
        word = f"w{self._chance.randint(0, 99)} "
        text = self._message(word, words)
        content = [{"type": "text", "text": text}]
        thread = self._talk.thread
        if thread is None:
            source = await self._person.say("thread.start", content=content)
            told = await self._person.until(lambda: self._person.answer_to(source, "thread.started"))
            self._talk.thread = ThreadId(str(told.body["thread_id"]))
        else:
            source = await self._person.say("turn.start", thread_id=thread, content=content)
        asked = Asked(source, text, word * words)
        self._talk.asked.append(asked)
        return asked

    def _message(self, word: str, words: int) -> str:
        """It tells the model what to say: a word of its own for a second and a half, or a few at once."""
        pause = SPEECH_SECONDS * 1000 / WORDS
        say: dict[str, Any] = {"say": word, "times": words, "every_ms": pause if words == WORDS else 0}
        first: list[dict[str, Any]] = [{"run": "true"}] if self._chance.random() < 0.3 else []
        return f"number {self._chance.random()}\n```script\n{json.dumps([*first, say])}\n```"

    async def _start_again(self, target: str) -> None:
        if "agent" in target:  # it starts the room, if that is gone too
            await asyncio.to_thread(self._programs.start_agent)
        elif "room" in target:
            await asyncio.to_thread(self._programs.start_room)

    def _accepted(self, asked: Asked) -> str | None:
        if asked.turn is None:
            told = self._person.answer_to(asked.source, "turn.start.accepted", "turn.started")
            asked.turn = None if told is None else str(told.body["turn_id"])
        return asked.turn

    def _end_of(self, asked: Asked) -> dict[str, Any] | None:
        if (rejected := self._person.answer_to(asked.source, "turn.start.rejected")) is not None:
            raise AssertionError(f"the next turn was refused: {rejected.body}")
        turn = self._accepted(asked)
        ends = (x.body for x in self._person.told if x.kind == "turn.ended" and x.body["turn_id"] == turn)
        return None if turn is None else next(ends, None)

    # --- Looking ---------------------------------------------------------------------------------

    async def _look(self, killed_at: float, asked_now: Sequence[Asked]) -> None:
        assert self._talk.thread is not None
        rows = await self._rows(self._talk.thread)
        numbers = [row.sequence for row in rows]
        assert len(set(numbers)) == len(numbers), "doubled numbers"
        _check_order(numbers)
        reading = Reading(self._talk.thread)
        events = [event for row in sorted(rows, key=lambda row: row.sequence) for event in reading.feed(row)]
        assert not reading.finish(), "texts without an end"
        ends = [row.turn_id for row in rows if row.kind == "turn.ended"]
        assert len(set(ends)) == len(ends), "a turn ended twice"
        begun = {row.turn_id for row in rows if row.kind in ("turn.start", "turn.start.accepted")}
        assert begun <= set(ends), f"turns without an end: {begun - set(ends)}"
        accepted = {turn for asked in self._talk.asked if (turn := self._accepted(asked)) is not None}
        assert accepted <= begun, f"accepted turns are gone: {accepted - begun}"
        self._texts(events, killed_at, {asked.turn for asked in asked_now})
        self._model_knew(events)

    async def _rows(self, thread: ThreadId) -> list[Row]:
        *namespace, name = thread.removeprefix("dataset://").split("/")
        rows: list[Row] = []
        async for batch in self._person.room.datasets.search(TableRef(name, tuple(namespace))):
            rows += from_table(batch)
        return rows

    def _texts(self, events: Sequence[e.ThreadEvent], killed_at: float, turns: set[str | None]) -> None:
        """What was seen of these turns a second before the kill is stored."""
        stored: dict[tuple[str, str], str] = {}
        for event in events:
            if isinstance(event.body, e.TextDelta):
                stored[str(event.turn_id), event.body.item_id] = event.body.text
        seen: dict[tuple[str, str], str] = {}
        for told in self._person.told:
            body = told.body
            if told.kind == "text_content.delta" and told.at < killed_at - KEPT_AFTER:
                key = str(body["turn_id"]), str(body["item_id"])
                seen[key] = seen.get(key, "") + str(body["text"])
        for key, text in seen.items():
            if key[0] not in turns:
                continue  # killed before, and looked at then
            assert stored.get(key, "").startswith(text), f"of {text!r} only {stored.get(key)!r} is left"

    def _model_knew(self, events: Sequence[e.ThreadEvent]) -> None:
        """The latest request had everything that people and agent said, once and in order.

        Codex keeps a record of its own: of a turn that was killed, the model may know the last words that did
        not get to the room any more.
        """
        asked = self._talk.asked[-1].text
        requests = [x.body["input"] for x in self._programs.model.requests if _has(x.body, asked)]
        assert requests, "the model was not asked"
        lost = {x.turn_id for x in events if isinstance(x.body, e.TurnEnded) and x.body.reason in _CUT_OFF}
        unsaid = [x for x in self._talk.asked if x.turn in lost]
        more = {x.text for x in unsaid} | {x.speech for x in unsaid}
        knew(_said(requests[-1]), list(_expected(events)), asked, lost, more)
        self._programs.model.requests.clear()


def knew(
    told: Sequence[str],
    expected: Sequence[tuple[str | None, str]],
    asked: str,
    lost: AbstractSet[str | None],
    more: AbstractSet[str],
) -> None:
    """Hold what a model was told against turns and texts that are stored, up to what was `asked` last. Of
    turns that were `lost` it may have been told `more`: whole texts of which less is stored, and others.
    """
    left = deque(told)
    for turn, text in expected:
        while left and left[0] in more and not left[0].startswith(text):
            left.popleft()
        known = left.popleft() if left else None
        right = known == text or (turn in lost and known is not None and known.startswith(text))
        assert right, f"the model was told {known!r}, and not {text!r}; then {list(left)}"
        if text == asked:
            break
    assert set(left) <= more, f"the model was told {list(left)} too"


_CUT_OFF = (e.EndReason.LOST, e.EndReason.FAILED)


def _expected(events: Sequence[e.ThreadEvent]) -> Iterator[tuple[str | None, str]]:
    for event in events:
        match event.body:
            case e.TurnStarted(_, content):
                yield event.turn_id, plain_text(content)
            case e.TextDelta(item, text) if text.strip() and not item.startswith(NOTICE):
                yield event.turn_id, text
            case _:
                pass


def _has(body: dict[str, Any], text: str) -> bool:
    return "input" in body and text in _said(body["input"])


def _said(items: Sequence[Any]) -> list[str]:
    """What people and agent said, without Codex's own words."""
    messages = [x for x in items if x["type"] == "message"]
    texts = ["".join(part.get("text", "") for part in x["content"]) for x in messages]
    roles = [x["role"] for x in messages]
    return [text for role, text in zip(roles, texts, strict=True) if role != "developer" and text[:1] != "<"]


async def kill_many(
    folder: Path, seed: int, kills: int, say: Callable[[str], None], killed: dict[str, int] | None = None
) -> dict[str, int]:
    """Kill programs so many times; how often each was, in `killed` too. A failure says where."""
    async with running(folder) as (programs, person):
        if killed is not None:
            programs.killed = killed
        real = RealKills(programs, person, seed)
        while sum(programs.killed.values()) < kills:
            try:
                await real.once()
            except Exception as error:
                error.add_note(f"seed {seed}, kill {sum(programs.killed.values())}: {real.last}")
                raise
            say(f"{sum(programs.killed.values())} kills, the last: {real.last}")
        return programs.killed


def _check_order(numbers: Sequence[int]) -> None:
    """The rows of each writer are in the table in the order in which it gave out their numbers."""
    last: dict[int, int] = {}
    for place, number in enumerate(numbers):
        writer = writer_of(number)
        before = last.get(writer, -1)
        assert before < number, f"row {place} of writer {writer}: number {number} comes after {before}"
        last[writer] = number

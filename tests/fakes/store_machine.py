"""The thread store as a state machine beside a simple model of it, over any room."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from process_agent.core import events as e
from process_agent.core.content import LogLine, TextResult, plain_text
from process_agent.core.ids import Clock, ItemId, MessageId, ThreadId, TurnId
from process_agent.core.room import Datasets
from process_agent.core.store import Page
from process_agent.errors import RoomRequestError
from process_agent.threads.copying import name_of_copy
from process_agent.threads.log import DatasetThreadLog
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.thread_events import Speaker

NAMES = st.sampled_from(["New Chat", "it's one", "ünï 💡", "x" * 80])
PIECES = st.lists(st.one_of(st.text("ha 7\n", max_size=9), st.text(max_size=6)), max_size=6)
ENDS = st.sampled_from([e.EndReason.COMPLETED, e.EndReason.FAILED, e.EndReason.INTERRUPTED])


@dataclass
class ModelTurn:
    """What is known of a turn."""

    id: str
    asked: str
    texts: dict[str, str] = field(default_factory=dict)
    end: str | None = None
    open_item: str | None = None


@dataclass
class ModelThread:
    """What is known of a thread."""

    path: ThreadId
    name: str
    turns: list[ModelTurn] = field(default_factory=list)

    @property
    def running(self) -> ModelTurn | None:
        return next((turn for turn in self.turns if turn.end is None), None)

    def lose(self) -> None:
        """Nobody runs it any more."""
        for turn in self.turns:
            turn.end = turn.end or str(e.EndReason.LOST)


class StoreMachine(RuleBasedStateMachine):
    """Subclasses give `datasets`, `clock` and `run`."""

    datasets: Datasets
    clock: Clock
    namespace = "bot"

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[ModelThread] = []
        """The latest changed last."""
        self.gone: list[ThreadId] = []
        self._numbers = itertools.count(1)
        self.connect()
        self.store = self.new_agent()

    def connect(self) -> None:
        raise NotImplementedError

    def run[T](self, does: Coroutine[Any, Any, T]) -> T:
        raise NotImplementedError

    def new_agent(self) -> DatasetThreadStore:
        store = DatasetThreadStore(
            self.datasets, self.namespace, clock=self.clock, new_id=lambda: f"t{next(self._numbers)}"
        )
        self.run(store.start())
        return store

    def teardown(self) -> None:
        self.run(self.store.close())

    # --- The list --------------------------------------------------------------------------------

    @precondition(lambda self: len(self.threads) < 4)
    @rule(name=NAMES)
    def create(self, name: str) -> None:
        entry = self.run(self.store.create(name))
        assert entry.name == name
        self.threads.append(ModelThread(entry.path, name))

    @precondition(lambda self: self.threads)
    @rule(data=st.data(), name=NAMES)
    def rename(self, data: st.DataObject, name: str) -> None:
        thread = self._some(data)
        self.run(self.store.rename(thread.path, name))
        thread.name = name
        self._changed(thread)

    @precondition(lambda self: self.threads)
    @rule(data=st.data(), name=NAMES, expected=NAMES)
    def rename_if_it_is_called_so(self, data: st.DataObject, name: str, expected: str) -> None:
        thread = self._some(data)
        entry = self.run(self.store.rename(thread.path, name, instead_of=expected))
        if thread.name == expected:
            thread.name = name
            self._changed(thread)
        assert entry.name == thread.name

    @precondition(lambda self: any(thread.running is None for thread in self.threads))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        thread = data.draw(st.sampled_from([x for x in self.threads if x.running is None]))
        self.run(self.store.delete(thread.path))
        self.threads.remove(thread)
        self.gone.append(thread.path)

    @precondition(lambda self: 0 < len(self.threads) < 4)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        thread = self._some(data)
        without = [turn.id for turn in thread.turns if turn.end is None]
        entry = self.run(self.store.fork(thread.path, without=[TurnId(turn) for turn in without]))
        turns = [
            ModelTurn(turn.id, turn.asked, dict(turn.texts), turn.end)
            for turn in thread.turns
            if turn.id not in without
        ]
        self.threads.append(ModelThread(entry.path, name_of_copy(thread.name), turns))

    @rule(limit=st.integers(1, 5), offset=st.integers(0, 4))
    def list_a_page(self, limit: int, offset: int) -> None:
        page, total = self.run(self.store.list(limit, offset))
        newest = [(thread.path, thread.name) for thread in reversed(self.threads)]
        assert [(entry.path, entry.name) for entry in page] == newest[offset : offset + limit]
        assert total == len(self.threads)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def what_is_gone_cannot_be_opened(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(self.gone))
        with pytest.raises(RoomRequestError) as refused:
            self.run(self.store.open(path))
        assert refused.value.code == 1003

    # --- Turns -----------------------------------------------------------------------------------

    @precondition(lambda self: any(thread.running is None for thread in self.threads))
    @rule(data=st.data(), asked=st.text(max_size=8))
    def begin(self, data: st.DataObject, asked: str) -> None:
        thread = data.draw(st.sampled_from([x for x in self.threads if x.running is None]))
        turn = f"u{next(self._numbers)}"
        self._append(thread, self._speaker(thread).begin(asked, turn))
        thread.turns.append(ModelTurn(turn, asked))

    @precondition(lambda self: self._busy())
    @rule(data=st.data(), pieces=PIECES, over=st.booleans(), again=st.booleans(), saved=st.booleans())
    def say(self, data: st.DataObject, pieces: list[str], over: bool, again: bool, saved: bool) -> None:
        thread = data.draw(st.sampled_from(self._busy()))
        turn, speaker = self._running(thread), self._speaker(thread)
        item = turn.open_item if again else None
        item = item or f"i{next(self._numbers)}"
        turn.open_item = None if over else item
        events = speaker.deltas(*pieces, item=item, turn=turn.id)
        if over:
            events.append(speaker.say(e.TextEnded(ItemId(item), "final_answer"), turn.id))
        self._append(thread, events)
        text = turn.texts.get(item, "") + "".join(pieces)
        if text:
            turn.texts[item] = text
        if saved:  # as once a second
            self.run(self._log(thread).flush())

    @precondition(lambda self: self._busy())
    @rule(data=st.data(), lines=st.lists(st.text(max_size=5), max_size=3), over=st.booleans())
    def use_a_tool(self, data: st.DataObject, lines: list[str], over: bool) -> None:
        thread = data.draw(st.sampled_from(self._busy()))
        turn, speaker = self._running(thread), self._speaker(thread)
        ref = e.ToolRef(ItemId(f"c{next(self._numbers)}"), "codex", "shell")
        events = [speaker.say(e.ToolStarted(ref, {"command": "ls"}), turn.id)]
        events += [speaker.say(e.ToolLog(ref, (LogLine(line),)), turn.id) for line in lines]
        if over:
            events.append(speaker.say(e.ToolEnded(ref, TextResult("done")), turn.id))
        self._append(thread, events)

    @precondition(lambda self: self._busy())
    @rule(data=st.data(), reason=ENDS)
    def end(self, data: st.DataObject, reason: e.EndReason) -> None:
        thread = data.draw(st.sampled_from(self._busy()))
        turn = self._running(thread)
        self._append(thread, [self._speaker(thread).end(turn.id, reason)])
        turn.end = str(reason)

    @precondition(lambda self: any(thread.running is None for thread in self.threads))
    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        thread = data.draw(st.sampled_from([x for x in self.threads if x.running is None]))
        source = MessageId(f"m{next(self._numbers)}")
        self._append(thread, [self._speaker(thread).say(e.ThreadCleared(source), None)])
        thread.turns.clear()

    @precondition(lambda self: self.threads)
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        self.run(self._log(self._some(data)).flush())

    @precondition(lambda self: self.threads)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        thread = self._some(data)
        self.run(self._log(thread).close())
        thread.lose()

    @rule(polite=st.booleans())
    def the_agent_is_replaced(self, polite: bool) -> None:
        if polite:
            self.run(self.store.close())
        else:
            self.run(self._kill())
        for thread in self.threads:
            thread.lose()
        self.store = self.new_agent()

    # --- Reading ---------------------------------------------------------------------------------

    @precondition(lambda self: self.threads)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        thread = self._some(data)
        assert told(self.run(self._replay(thread))) == shown(thread.turns)

    @precondition(lambda self: self.threads)
    @rule(data=st.data())
    def replay_since_a_turn(self, data: st.DataObject) -> None:
        thread = self._some(data)
        if thread.turns:
            number = data.draw(st.integers(0, len(thread.turns) - 1))
            events = self.run(self._replay(thread, thread.turns[number].id))
            assert told(events) == shown(thread.turns[number:])

    @precondition(lambda self: self.threads)
    @rule(data=st.data(), limit=st.integers(1, 3))
    def page_backwards(self, data: st.DataObject, limit: int) -> None:
        thread = self._some(data)
        pages: list[list[Any]] = []
        before: str | None = None
        while not pages or before is not None:
            cursors: list[str] = []
            page = Page(before, limit, cursors.append)
            pages.insert(0, told(self.run(self._replay(thread, None, page))))
            assert len(pages[0]) <= limit
            before = cursors[0] if cursors else None
        assert [turn for page in pages for turn in page] == shown(thread.turns)

    @precondition(lambda self: self.threads)
    @rule(data=st.data())
    def what_a_model_is_told(self, data: st.DataObject) -> None:
        thread = self._some(data)
        history = self.run(self._log(thread).history())
        asked = [plain_text(x.content) for x in history if hasattr(x, "content")]
        said = [x.text for x in history if hasattr(x, "text")]
        over = [turn for turn in thread.turns if turn.end is not None]
        assert asked == [turn.asked for turn in over]
        assert said == [text for turn in over for text in turn.texts.values() if text.strip()]

    # --- Inside ----------------------------------------------------------------------------------

    def _busy(self) -> list[ModelThread]:
        return [thread for thread in self.threads if thread.running is not None]

    def _running(self, thread: ModelThread) -> ModelTurn:
        assert thread.running is not None
        return thread.running

    def _some(self, data: st.DataObject) -> ModelThread:
        return data.draw(st.sampled_from(self.threads))

    def _changed(self, thread: ModelThread) -> None:
        self.threads.remove(thread)
        self.threads.append(thread)

    def _speaker(self, thread: ModelThread) -> Speaker:
        speaker = Speaker(thread.path, self.clock)  # type: ignore[arg-type]
        speaker._ids = self._numbers
        return speaker

    def _log(self, thread: ModelThread) -> DatasetThreadLog:
        return self.run(self.store.open(thread.path))

    def _append(self, thread: ModelThread, events: Sequence[e.ThreadEvent]) -> None:
        log = self._log(thread)

        async def append() -> None:
            for event in events:
                log.append(event)

        self.run(append())

    async def _replay(
        self, thread: ModelThread, since: str | None = None, page: Page | None = None
    ) -> list[e.ThreadEvent]:
        log = await self.store.open(thread.path)
        return [event async for event in log.replay(since, page or Page())]

    async def _kill(self) -> None:
        """What was given to the room is all there is; what is on its way is."""
        for log in tuple(self.store._logs.values()):
            await log.flush()
            await log._tasks.close()
        await self.store._tasks.close()
        await self.store._lease._tasks.close()
        await asyncio.sleep(0)


type ShownTurn = tuple[str, str, Mapping[str, str], str | None]


def shown(turns: Sequence[ModelTurn]) -> list[ShownTurn]:
    """What a replay has to say of turns."""
    return [(turn.id, turn.asked, turn.texts, turn.end) for turn in turns]


def told(events: Sequence[e.ThreadEvent]) -> list[ShownTurn]:
    """What a replay says of turns."""
    turns: dict[str, ModelTurn] = {}
    for event in events:
        turn = turns.get(str(event.turn_id))
        match event.body:
            case e.TurnStarted(_, content):
                turns[str(event.turn_id)] = ModelTurn(str(event.turn_id), plain_text(content))
            case e.TextDelta(item, text) if turn is not None:
                turn.texts[item] = turn.texts.get(item, "") + text
            case e.TurnEnded(reason) if turn is not None:
                assert turn.end is None, "a turn ended twice"
                turn.end = str(reason)
            case _:
                pass
    return shown(list(turns.values()))

"""The interactive terminal on a pipe and a screen that is a string: keys in, what is printed out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from process_agent.core.content import ErrorInfo, JsonResult, LogLine
from process_agent.core.events import (
    ApprovalRequested,
    EndReason,
    EventBody,
    Interrupted,
    Status,
    SteerRejected,
    TextDelta,
    TextEnded,
    ToolEnded,
    ToolLog,
    ToolRef,
    ToolStarted,
    TurnEnded,
    TurnStarted,
)
from process_agent.core.ids import ItemId, MessageId
from process_agent.errors import RoomClosedError
from process_agent.viewer.approve import Approve
from process_agent.viewer.client import AgentClient
from process_agent.viewer.terminal.repl import Repl
from tests.fakes.viewer_room import FakeAgent, agent, event

SHELL = ToolRef(ItemId("t"), "codex", "shell", "codex")
DONE = TurnEnded(EndReason.COMPLETED)
ANSWER: tuple[EventBody, ...] = (
    TextDelta(ItemId("i"), "It is "),
    TextDelta(ItemId("i"), "**done**."),
    TextEnded(ItemId("i")),
)
ENTER, CTRL_C, CTRL_D, ALT_ENTER = "\r", "\x03", "\x04", "\x1b\r"


class Screen(StringIO):
    """What was written; `text` is without escape sequences."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def write(self, text: str, /) -> int:
        self._grown.set()
        return super().write(text)

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())

    async def shows(self, wanted: str) -> None:
        while wanted not in self.text:
            self._grown.clear()
            await self._grown.wait()


class Person:
    """Types, and looks at the screen."""

    def __init__(
        self, repl: Repl, keys: PipeInput, screen: Screen, running: asyncio.Task[str | None]
    ) -> None:
        self.repl = repl
        self.screen = screen
        self.running = running
        self._keys = keys

    def types(self, *keys: str) -> None:
        for key in keys:
            self._keys.send_text(key)

    async def sees(self, wanted: str) -> None:
        await self.screen.shows(wanted)


@asynccontextmanager
async def person(
    fake: FakeAgent,
    *,
    approve: Approve = Approve.ASK,
    history: Path | None = None,
    thread: str | None = None,
    closed: Callable[[], asyncio.Future[RoomClosedError | None]] | None = None,
    columns: int = 80,
) -> AsyncIterator[Person]:
    screen = Screen()
    output = Vt100_Output(screen, lambda: Size(rows=30, columns=columns), term="xterm", enable_cpr=False)
    with create_pipe_input() as keys, create_app_session(input=keys, output=output):
        async with AgentClient(fake.room) as client, asyncio.TaskGroup() as group:
            await client.find(1)
            repl = Repl(
                client, me="ana", room="demo", approve=approve, history=history, terminal=(keys, output)
            )
            running = group.create_task(repl.run(thread=thread, closed=closed))
            someone = Person(repl, keys, screen, running)
            await someone.sees("say something")
            try:
                yield someone
            finally:
                if not running.done():
                    someone.types(CTRL_C, CTRL_C, CTRL_C)


async def test_a_message_starts_a_thread_and_its_answer_is_printed_as_markdown() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("do it", ENTER)
        await ana.sees("It is done.")
        await ana.sees("✓ 1.0 s")
        assert "› do it" in ana.screen.text
        assert "**" not in ana.screen.text.replace("\r", "").split("› do it")[-1].split("It is done.")[-1]
        ana.types("/quit", ENTER)
        assert await ana.running == "T"
    assert fake.asked.count("thread.start") == 1


async def test_a_second_message_goes_on_in_the_same_thread() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("first", ENTER)
        await ana.sees("✓ 1.0 s")
        ana.types("second", ALT_ENTER, "line", ENTER)
        await fake.heard("turn.start", 2)
        await ana.sees("› second")
        assert fake.room.streams[0].sent[-1]["content"] == [{"type": "text", "text": "second\nline"}]
    assert fake.asked.count("thread.start") == 1


async def test_ctrl_c_stops_the_turn_first_and_leaves_on_the_second_press() -> None:
    fake = FakeAgent(Status("Counting", "steerable"))
    async with person(fake) as ana:
        ana.types("count", ENTER)
        await ana.sees("Counting")
        ana.types(CTRL_C)
        await fake.heard("turn.interrupt")
        assert not ana.running.done()
        fake.emit(Interrupted(MessageId("x")), "U1")
        fake.emit(TurnEnded(EndReason.INTERRUPTED), "U1")
        await ana.sees("■ stopped")
        ana.types(CTRL_C)
        assert await ana.running == "T"


async def test_ctrl_c_empties_the_line_and_another_key_takes_the_wish_to_leave_back() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("rubbish", CTRL_C, CTRL_C)
        await ana.sees("Ctrl-C again leaves")
        ana.types("do it", ENTER)
        await ana.sees("It is done.")
        assert fake.room.streams[0].sent[-1]["content"] == [{"type": "text", "text": "do it"}]
        ana.types(CTRL_D)
        await ana.running


async def test_typing_while_a_turn_runs_steers_it_or_queues() -> None:
    fake = FakeAgent(Status("Working", "steerable"))
    async with person(fake) as ana:
        ana.types("go", ENTER)
        await ana.sees("Working")
        ana.types("and this", ENTER)
        await fake.heard("turn.steer")
        fake.emit(Status("Thinking hard", "busy"), "U1")
        await ana.sees("Thinking hard")
        ana.types("later", ENTER)
        await fake.heard("turn.start", 2)


async def test_what_comes_too_late_for_its_turn_is_said_as_the_next_one() -> None:
    fake = FakeAgent(Status("Working", "steerable"))
    async with person(fake) as ana:
        ana.types("go", ENTER)
        await ana.sees("Working")
        ana.types("and this", ENTER)
        await fake.heard("turn.steer")
        steer = MessageId(str(fake.room.streams[0].sent[-1]["message_id"]))
        fake.emit(SteerRejected(steer, ErrorInfo("The turn has ended.", "turn_ended")), "U1")
        await fake.heard("turn.start", 2)
        assert fake.room.streams[0].sent[-1]["content"] == [{"type": "text", "text": "and this"}]


@pytest.mark.parametrize(("key", "asked"), [("y", "tool_call.approve"), ("n", "tool_call.reject")])
async def test_approvals_are_asked_inline(key: str, asked: str) -> None:
    arguments = {"command": "rm -rf build", "cwd": "/work"}
    fake = FakeAgent(
        ToolStarted(SHELL, arguments), ApprovalRequested(SHELL, arguments, "It is outside the sandbox.")
    )
    async with person(fake) as ana:
        ana.types("clean", ENTER)
        await ana.sees("May the agent do this?")
        await ana.sees("$ rm -rf build  (in /work)")
        await ana.sees("It is outside the sandbox.")
        ana.types(key)
        await fake.heard(asked)
        fake.emit(ToolEnded(SHELL, error=ErrorInfo("no", "declined")), "U1")
        fake.emit(DONE, "U1", at=1.0)
        await ana.sees("✓ 1.0 s")


async def test_who_may_not_decide_is_not_asked() -> None:
    arguments = {"command": "rm -rf build"}
    request = ApprovalRequested(SHELL, arguments, None, number=1, approvers=("ben",))
    fake = FakeAgent(ToolStarted(SHELL, arguments), request)
    async with person(fake) as ana:
        ana.types("clean", ENTER)
        await ana.sees("Waits for ben.")
        ana.types("yes?", ENTER)
        await fake.heard("turn.start", 2)
        sent = [str(body["type"]) for stream in fake.room.streams for body in stream.sent]
        assert not [kind for kind in sent if "tool_call" in kind]
        assert "yes, once" not in ana.screen.text


async def test_tools_are_one_line_and_unfold() -> None:
    lines = tuple(LogLine(f"line {n}\n") for n in range(20))
    result = JsonResult({"stdout": "", "exit_code": 1})
    fake = FakeAgent(
        ToolStarted(SHELL, {"command": "pytest -q"}), ToolLog(SHELL, lines), ToolEnded(SHELL, result), DONE
    )
    async with person(fake) as ana:
        ana.types("test", ENTER)
        await ana.sees("● $ pytest -q  exit 1 · 20 lines")
        await ana.sees("… 16 lines above; /output shows all")
        assert "line 5\r" not in ana.screen.text
        ana.types("/output", ENTER)
        await ana.sees("│ line 5")


async def test_commands() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("/help", ENTER)
        await ana.sees("the models on offer")
        ana.types("/models", ENTER)
        await ana.sees("small")
        ana.types("/model small", ENTER)
        await ana.sees("From the next turn on: codex/openai/small")
        ana.types("do it", ENTER)
        await ana.sees("It is done.")
        assert fake.room.streams[0].sent[-1]["model"] == "small"
        ana.types("/model big", ENTER)
        await fake.heard("model.change")
        ana.types("/threads", ENTER)
        await ana.sees("the thread")
        ana.types("/new", ENTER)
        await ana.sees("The next message starts a new thread.")
        ana.types("/nonsense", ENTER)
        await ana.sees("/nonsense is no command.")
        ana.types("/model nope", ENTER)
        await ana.sees("No model here is called 'nope'")
        ana.types("/stop", ENTER)
        await ana.sees("Nothing runs.")


async def test_an_opened_thread_shows_its_last_turns() -> None:
    fake = FakeAgent()
    for number in range(25):
        fake.stored.append(event(TurnStarted(MessageId(f"m{number}"), (), "ana"), f"U{number}"))
        fake.stored.append(event(TextDelta(ItemId("i"), f"answer {number}"), f"U{number}"))
        fake.stored.append(event(DONE, f"U{number}"))
    async with person(fake, thread="1") as ana:
        await fake.room.stream(0)
        fake.opened()
        await ana.sees("── the thread ──")
        await ana.sees("… 5 earlier turns")
        await ana.sees("answer 24")
        assert "answer 4\r" not in ana.screen.text
        assert "answer 5\r" in ana.screen.text
        ana.types("/older", ENTER)
        await ana.sees("── 5 earlier turns ──")
        await ana.sees("answer 4\r")
        ana.types("/older", ENTER)
        await ana.sees("There are no earlier turns.")


async def test_earlier_turns_are_asked_of_the_agent() -> None:
    fake = FakeAgent()
    fake.stored = [event(TurnStarted(MessageId("m9"), (), "ana"), "U9", at=9), event(DONE, "U9", at=9.5)]
    async with person(fake, thread="1") as ana:
        stream = await fake.room.stream(0)
        fake.opened(older="c1")
        await ana.sees("… earlier turns; /older shows them")
        ana.types("/older", ENTER)
        await fake.heard("thread.open")
        fake.emit(TurnStarted(MessageId("m1"), (), "ana"), "U1", at=1)
        fake.emit(TextDelta(ItemId("i"), "said long ago"), "U1", at=2)
        fake.emit(DONE, "U1", at=3)
        fake.opened(MessageId(str(stream.sent[-1]["message_id"])))
        await ana.sees("── 1 earlier turn ──")
        await ana.sees("said long ago")
        await ana.sees("── what came after them is further up ──")


async def test_an_agent_that_goes_and_comes_back() -> None:
    fake = FakeAgent(Status("Working", "steerable"))
    async with person(fake) as ana:
        ana.types("go", ENTER)
        await ana.sees("Working")
        fake.room.leave(fake.me)
        await ana.sees("codex-agent left the room. Waiting for it to come back.")
        fake.room.join(agent(participant_id="agent-2"))
        await fake.room.stream(1)
        await ana.sees("Back again.")
        assert fake.room.streams[1].opening["since_turn"] == "U1"


async def test_the_end_of_the_membership_ends_the_terminal() -> None:
    fake = FakeAgent()
    ended: asyncio.Future[RoomClosedError | None] = asyncio.get_running_loop().create_future()
    with pytest.RaisesGroup(RoomClosedError):
        async with person(fake, closed=lambda: ended):
            ended.set_result(RoomClosedError("The room is over."))


async def test_history_is_kept_in_a_file_of_its_owner(tmp_path: Path) -> None:
    history = tmp_path / "data" / "chat-history"
    async with person(FakeAgent(*ANSWER, DONE), history=history) as ana:
        ana.types("remember me", ENTER)
        await ana.sees("It is done.")
    assert "remember me" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0

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

from process_agent.core.content import ErrorInfo, JsonResult, LogLine, TextResult
from process_agent.core.events import (
    ApprovalRequested,
    EndReason,
    EventBody,
    Interrupted,
    SecretRequested,
    Status,
    SteerRejected,
    TextDelta,
    TextEnded,
    ThreadCleared,
    ToolEnded,
    ToolLog,
    ToolRef,
    ToolStarted,
    TurnEnded,
    TurnStarted,
    UsageUpdated,
)
from process_agent.core.ids import AskId, ItemId, MessageId
from process_agent.core.usage import ContextWindow, Usage
from process_agent.errors import RoomClosedError
from process_agent.viewer.approvals import Approve
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
        await ana.sees("There is no model 'nope'")
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


async def test_approvals_can_be_left_or_decided_beforehand() -> None:
    fake = FakeAgent(ToolStarted(SHELL, {"command": "x"}), ApprovalRequested(SHELL, {"command": "x"}))
    async with person(fake, approve=Approve.NEVER) as ana:
        ana.types("go", ENTER)
        await fake.heard("tool_call.reject")
        assert "May the agent" not in ana.screen.text


async def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    fake = FakeAgent(TextDelta(ItemId("i"), "A long answer that has to be wrapped."), DONE)
    async with person(fake, columns=20) as ana:
        ana.types("go", ENTER)
        await ana.sees("A long answer that\r\nhas to be wrapped.")


async def test_a_secret_is_typed_unseen_and_answered() -> None:
    asked = SecretRequested(AskId("q"), "API_KEY", "The key of the weather service")
    fake = FakeAgent(asked)
    async with person(fake) as ana:
        ana.types("what is the weather?", ENTER)
        await ana.sees("The agent asks you for API_KEY")
        await ana.sees("⚿")
        ana.types("s3cret-y", "n", ENTER)
        await fake.heard("secret.response")
        sent = fake.room.streams[0].sent[-1]
        assert (sent["request_id"], sent["value"]) == ("q", "s3cret-yn")
        assert "s3cret" not in ana.screen.text
        assert ana.repl.session.asked_secret is None
        fake.turn = (SecretRequested(AskId("r"), "PIN"),)
        ana.types("next", ENTER)
        await fake.heard("turn.start", 2)
        await ana.sees("The agent asks you for PIN")
        ana.types(ENTER)
        await fake.heard("secret.response", 2)
        refused = fake.room.streams[0].sent[-1]
        assert refused["error"] == "The person who was asked refused."
        assert "value" not in refused


async def test_a_secret_nobody_wants_any_more_is_not_said_aloud() -> None:
    fake = FakeAgent(SecretRequested(AskId("q"), "API_KEY"))
    async with person(fake) as ana:
        ana.types("go", ENTER)
        await ana.sees("⚿")
        ana.types("s3cr")
        await ana.sees("****")
        fake.emit(DONE, "U1", at=2.0)
        await ana.sees("✓")
        ana.types("et", ENTER)
        await ana.sees("Nobody asks for it any more")
        assert fake.asked.count("turn.start") == 1
        assert "secret.response" not in fake.asked
        assert "s3cr" not in ana.screen.text


async def test_a_line_under_way_is_not_taken_for_a_secret() -> None:
    fake = FakeAgent(*ANSWER)
    async with person(fake) as ana:
        ana.types("go", ENTER)
        await ana.sees("It is done.")
        ana.types("half a li")
        await ana.sees("half a li")
        fake.emit(SecretRequested(AskId("q"), "API_KEY"), "U1")
        await ana.sees("The agent asks you for API_KEY")
        ana.types("ne", ENTER)
        await fake.heard("turn.start", 2)
        assert "secret.response" not in fake.asked
        await ana.sees("⚿")


async def test_effort_before_the_first_message_is_kept_for_the_thread_it_starts() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("/effort", ENTER)
        await ana.sees("next thread: the model's default.")
        ana.types("/effort high", ENTER)
        await ana.sees("next thread: high.")
        ana.types("/status", ENTER)
        await ana.sees("effort")
        ana.types("hello", ENTER)
        await fake.heard("turn.start", 2)
        said = [
            body["content"] for body in fake.room.streams[0].sent if str(body["type"]).endswith("turn.start")
        ]
        assert said == [[{"type": "text", "text": text}] for text in ("/effort high", "hello")]
        assert ana.repl.session.effort.chosen is None


async def test_a_note_for_the_model_is_not_shown_to_people() -> None:
    note = ToolRef(ItemId("U1:files"), "workspace", "undo")
    other = ToolRef(ItemId("x"), "workspace", "undo")
    fake = FakeAgent(
        *(ToolStarted(note, {}), ToolEnded(note, TextResult("The user took back a change."))),
        *(ToolStarted(other, {}), ToolEnded(other, TextResult("The room's own tool."))),
        *(*ANSWER, DONE),
    )
    async with person(fake) as ana:
        ana.types("/undo", ENTER)
        ana.types("take it back", ENTER)
        await ana.sees("✓ 1.0 s")
        assert "took back a change" not in ana.screen.text
        assert "The room's own tool." in ana.screen.text


async def test_clear_and_compact_are_for_the_agent_and_clearing_is_told() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("/compact", ENTER)
        await ana.sees("/compact is about a thread, and none is open.")
        ana.types("hello", ENTER)
        await ana.sees("✓ 1.0 s")
        for command in ("/compact", "/clear"):
            ana.types(command, ENTER)
            await fake.heard("turn.start", 2 if command == "/compact" else 3)
            assert fake.room.streams[0].sent[-1]["content"] == [{"type": "text", "text": command}]
        fake.emit(ThreadCleared(MessageId("m")), None)
        await ana.sees("the thread was cleared")
        view = ana.repl.session.view
        assert view is not None
        assert view.transcript.turns == ()


async def test_status_and_the_line_of_facts_say_what_was_used() -> None:
    used = UsageUpdated(Usage(1200, 200, 80), ContextWindow(1280, 12_800), 0.0042)
    fake = FakeAgent(*ANSWER, used, DONE)
    async with person(fake) as ana:
        ana.types("hello", ENTER)
        await ana.sees("1.2k in, 80 out · $0.0042")
        await ana.sees("context 10% · $0.0042")
        ana.types("/status", ENTER)
        await ana.sees("1.3k of 13k tokens")
        await ana.sees("1.2k in (200 cached), 80 out")

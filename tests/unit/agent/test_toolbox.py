"""Every call of a tool ends: with what it gave back, with an error, or stopped."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from process_agent.agent.tools import cutting, tool, toolbox
from process_agent.agent.tools.tool import Call, FixedTools, Need, Toolkit, said
from process_agent.agent.tools.tooling import Tooling
from process_agent.core.content import ErrorInfo, Json, JsonResult, TextResult
from process_agent.core.decisions import EACH_TIME, EVERY, Decision
from process_agent.core.events import FileShown, ToolLog
from process_agent.core.tools import ToolOutput
from process_agent.errors import RoomError, ToolFailedError
from tests.fakes.tools import Bench, scope, text_of

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


async def hello(call: Call) -> ToolOutput:
    return said(f"hello {call.arguments.get('name')}")


async def never(call: Call) -> ToolOutput:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_call_gives_back_what_the_tool_says() -> None:
    assert text_of(await Bench().add("hello", hello).call("hello", name="ana")) == "hello ana"


async def test_a_tool_that_is_not_there_says_what_is() -> None:
    found = await Bench().add("hello", hello).add("bye", hello).call("Hello")
    assert isinstance(found, ErrorInfo)
    assert found.code == "unknown_tool"
    assert "hello, bye" in found.message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ToolFailedError("no such thing"), "tool_failed: no such thing"),
        (RoomError("the connection is lost"), "room_error: the connection is lost"),
        (KeyError("secret"), "internal_error: The tool failed; the agent's log says why."),
    ],
)
async def test_a_tool_that_fails_is_an_error_and_no_more(error: Exception, said: str) -> None:
    async def fails(call: Call) -> ToolOutput:
        raise error

    assert text_of(await Bench().add("fails", fails).call("fails")) == said


async def test_a_tool_that_never_answers_is_given_up() -> None:
    bench = Bench().add("never", never, seconds=0.01)
    assert text_of(await bench.call("never")).startswith("timeout: It did not answer within 0.01 s")


async def test_who_needs_no_answer_any_more_stops_the_tool() -> None:
    stopped = asyncio.Event()

    async def waits(call: Call) -> ToolOutput:
        try:
            return await never(call)
        finally:
            stopped.set()

    bench = Bench().add("waits", waits)
    calling = asyncio.ensure_future(bench.call("waits"))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert stopped.is_set()


async def test_the_end_of_the_turn_ends_its_calls() -> None:
    running = asyncio.Barrier(4)

    async def waits(call: Call) -> ToolOutput:
        await running.wait()
        return await never(call)

    bench = Bench().add("never", waits)
    bench.open()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(bench.call("never", item=str(n))) for n in range(3)]
        await running.wait()
        bench.box.close()
    assert {text_of(call.result()) for call in calls} == {"turn_ended: The turn is over."}
    assert text_of(await bench.call("never")) == "turn_ended: The turn is over."


async def test_calls_run_side_by_side_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolbox, "MAX_RUNNING", 2)
    monkeypatch.setattr(toolbox, "MAX_CALLS", 4)
    running, most, full, go = 0, 0, asyncio.Event(), asyncio.Event()

    async def counts(call: Call) -> ToolOutput:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            full.set()
        await go.wait()
        running -= 1
        return said("done")

    bench = Bench().add("counts", counts)
    bench.open()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(bench.call("counts", item=str(n))) for n in range(4)]
        await full.wait()
        assert text_of(await bench.call("counts")).startswith("too_many_calls: ")
        go.set()
    assert [text_of(call.result()) for call in calls] == ["done"] * 4
    assert most == 2


async def test_arguments_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolbox, "MAX_ARGUMENTS", 100)
    assert text_of(await Bench().add("hello", hello).call("hello", name="x" * 200)).startswith("too_large")


async def test_what_a_call_tells_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "MAX_LOG", 10)

    async def talks(call: Call) -> ToolOutput:
        for line in ("one\n", "", "a long line", "lost"):
            call.log(line)
        call.show("room:///a")
        call.show("room:///b")
        return said("done")

    bench = Bench().add("talks", talks)
    await bench.call("talks")
    assert [e.lines[0].text for e in bench.events if isinstance(e, ToolLog)] == [
        "one\n",
        "… more is not shown.\n",
    ]
    shown = [event for event in bench.events if isinstance(event, FileShown)]
    assert [(event.item_id, event.url) for event in shown] == [
        ("i:file-1", "room:///a"),
        ("i:file-2", "room:///b"),
    ]


# --- Decisions -------------------------------------------------------------------------------------


NEED = Need("kit.hello", "says hello to a stranger")
LASTING = replace(NEED, lasting=True)


async def test_a_call_that_needs_a_decision_waits_for_it_and_can_be_declined() -> None:
    bench = Bench(decide=Decision.DECLINE).add("hello", hello, NEED)
    assert text_of(await bench.call("hello")) == "declined: Declined: the tool was not called."
    (asked,) = bench.asked
    assert (asked.reason, asked.ref.tool) == ("says hello to a stranger", "hello")
    assert not bench.box.decide(asked.ref.item_id, Decision.ACCEPT), "nothing waits any more"


async def test_time_that_somebody_takes_to_decide_is_not_the_tools() -> None:
    bench = Bench().add("hello", hello, NEED, seconds=0.02)
    async with asyncio.TaskGroup() as group:
        calling = group.create_task(bench.call("hello"))
        await bench.news.wait()
        await asyncio.sleep(0.05)
        assert bench.box.decide(bench.asked[0].ref.item_id, Decision.ACCEPT)
    assert text_of(calling.result()) == "hello None"


async def test_what_is_allowed_for_the_session_is_asked_about_once_in_a_thread() -> None:
    session = Decision.ACCEPT_FOR_SESSION
    bench = Bench(decide=session).add("hello", hello, LASTING).add("once", hello, replace(NEED, key="x"))
    for item in "ab":
        await bench.call("hello", item=item)
    assert [asked.decisions for asked in bench.asked] == [EVERY]
    for item in "cd":
        await bench.call("once", item=item)
    assert [asked.decisions for asked in bench.asked[1:]] == [EACH_TIME, EACH_TIME]
    other = Bench(decide=session, consents=bench.consents, thread="U").add("hello", hello, LASTING)
    await other.call("hello")
    assert len(other.asked) == 1


async def test_yes_means_this_once() -> None:
    bench = Bench(decide=Decision.ACCEPT).add("hello", hello, LASTING)
    for item in "ab":
        await bench.call("hello", item=item)
    assert len(bench.asked) == 2


# --- Outputs ---------------------------------------------------------------------------------------


async def test_big_results_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "MAX_RESULT", 10)

    async def big(call: Call) -> ToolOutput:
        return said("x" * 30)

    async def wide(call: Call) -> ToolOutput:
        value: list[Json] = ["x" * 30]
        return ToolOutput(JsonResult({"a": value}))

    async def fails(call: Call) -> ToolOutput:
        raise ToolFailedError("x" * 5_000)

    bench = Bench().add("big", big).add("wide", wide).add("fails", fails)
    cut = "x" * 10 + "\n[the result has 30 characters; the rest is left out.]"
    assert text_of(await bench.call("big")) == cut
    assert "the rest is left out" in text_of(await bench.call("wide"))
    assert len(text_of(await bench.call("fails"))) < 4_100


async def test_only_images_that_models_take_are_passed_on() -> None:
    good = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert cutting.image_url(PNG) == good
    assert cutting.image_url(b"<svg>") is None
    bad = ["data:image/png;base64,AAAA", "data:image/png,x", "https://example.com/a.png", "data:x;base64,!"]

    async def paints(call: Call) -> ToolOutput:
        return ToolOutput(TextResult("five"), (*bad, *[good] * 5))

    found = await Bench().add("paints", paints).call("paints")
    assert isinstance(found, ToolOutput)
    assert found.images == (good,) * 4
    assert text_of(found) == "five\n[4 images cannot be shown to a model; 1 more images are left out.]"


# --- Where tools come from ---------------------------------------------------------------------------


async def test_toolkits_get_names_that_do_not_collide() -> None:
    kit = Bench().add("hello", hello)
    kit.open()
    tools = tuple(kit.tools.values())
    sources = [
        FixedTools((Toolkit("chat", "ours", tools), Toolkit("empty", "", ()))),
        FixedTools((Toolkit("chat", "theirs", tools), Toolkit("web", "theirs", tools))),
    ]
    tooling = Tooling(sources)
    await tooling.start()
    assert [info.name for info in tooling.listed()] == ["chat", "chat_2", "room_web"]
    opened = await tooling.open(scope(), lambda *_: None)
    assert opened.tools is not None
    assert [(spec.name, spec.description) for spec in opened.tools.toolkits] == [
        ("chat", "ours"),
        ("chat_2", "theirs"),
        ("room_web", "theirs"),
    ]
    assert (await Tooling().open(scope(), lambda *_: None)).tools is None

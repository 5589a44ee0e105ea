"""Commands that come as plain text: what counts as one, and what each does."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core import slash
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice, ModelInfo, ProviderModels
from process_agent.core.selection import Catalogue
from process_agent.core.slash import CommandName, SlashCommand
from process_agent.core.speaker import Limits
from process_agent.core.titles import UNTITLED
from tests.fakes.supervised import OTHER, World, person

ANA, BEN = person("ana"), person("ben")


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World, text: str = "hello") -> ThreadId:
    """A new thread, whose first turn is this text."""
    world.start_thread(ANA, text)
    world.settle()
    return next(reversed(world.logs))


def command_turns(world: World, thread_id: ThreadId) -> dict[TurnId, list[e.ThreadEvent]]:
    """What the log has of each turn that is a command."""
    turns: dict[TurnId, list[e.ThreadEvent]] = {}
    for event in world.logs[thread_id]:
        if event.turn_id is not None:
            turns.setdefault(event.turn_id, []).append(event)
    return {
        turn: events
        for turn, events in turns.items()
        if isinstance(events[0].body, e.TurnRequested) and slash.parse(events[0].body.content)
    }


def said(events: list[e.ThreadEvent]) -> str:
    return "".join(x.body.text for x in events if isinstance(x.body, e.TextDelta))


def answer(world: World, thread_id: ThreadId) -> str:
    """What the last command answered."""
    return said(list(command_turns(world, thread_id).values())[-1])


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", SlashCommand(CommandName.HELP)),
        (" /Models \n", SlashCommand(CommandName.MODELS)),
        ("/model", SlashCommand(CommandName.MODEL)),
        ("/model  codex/gpt-5.5 ", SlashCommand(CommandName.MODEL, "codex/gpt-5.5")),
        ("/stop now, please", SlashCommand(CommandName.STOP, "now, please")),
        ("/new", SlashCommand(CommandName.NEW)),
        ("/usage Thread", SlashCommand(CommandName.USAGE, "Thread")),
        ("/modelss", None),
        ("/clear ", SlashCommand(CommandName.CLEAR)),
        ("/clear the table", None),
        ("/compact", SlashCommand(CommandName.COMPACT)),
        ("/", None),
        ("//help", None),
        ("/etc/hosts", None),
        ("/help\nme with these lines", None),
        ("say /help", None),
        ("/model " + "x" * slash.MAX_COMMAND, None),
        ("", None),
    ],
)
def test_what_counts_as_a_command(text: str, command: SlashCommand | None) -> None:
    assert slash.parse((TextPart(text),)) == command


@pytest.mark.parametrize(
    "content",
    [
        (),
        (FilePart("room:///help"),),
        (TextPart("/help"), FilePart("room:///a")),
        (TextPart("/help"), TextPart("x")),
    ],
)
def test_only_one_text_alone_is_a_command(content: tuple[ContentPart, ...]) -> None:
    assert slash.parse(content) is None


def test_a_command_is_a_whole_turn_without_a_model(world: World) -> None:
    thread_id = begin(world, "/help")
    ((turn_id, events),) = command_turns(world, thread_id).items()
    assert [type(event.body) for event in events] == [
        e.TurnRequested,
        e.TurnAccepted,
        e.TurnStarted,
        e.TextStarted,
        e.TextDelta,
        e.TextEnded,
        e.TurnEnded,
    ]
    assert events[-1].body == e.TurnEnded(e.EndReason.COMPLETED)
    assert {x.body.phase for x in events if isinstance(x.body, e.TextDelta)} == {"final_answer"}
    assert {(event.provider, event.model) for event in events} == {(None, None)}
    assert events[0].message_id == events[2].body.source  # type: ignore[union-attr]
    shown = [event for event in world.got(ANA).events if event.turn_id == turn_id]
    assert shown == events[1:]  # the one who asked knows its own request
    assert not any(isinstance(done, c.RunTurn) for done in world.done)
    assert any(isinstance(done, c.TouchThread) for done in world.done)
    assert world.supervisor.idle


def test_help_lists_what_there_is(world: World) -> None:
    text = answer(world, begin(world, "/help"))
    assert all(f"`{name.value}" in text for name in CommandName)


def test_a_thread_that_begins_with_a_command_is_named_after_what_is_said_next(world: World) -> None:
    thread_id = begin(world, "/models")
    assert [x.name for x in world.done if isinstance(x, c.CreateThread)] == [UNTITLED]
    world.start_turn(ANA, thread_id, "/help")
    assert not any(isinstance(done, c.NameThread) for done in world.done)
    world.start_turn(ANA, thread_id, "Tea or coffee?")
    assert [x.name for x in world.done if isinstance(x, c.NameThread)] == ["Tea or coffee?"]


@pytest.mark.parametrize(("name", "named"), [(UNTITLED, ["Tea or coffee?"]), ("Drinks", [])])
def test_a_thread_without_a_name_gets_one_also_after_a_restart(
    world: World, name: str, named: list[str]
) -> None:
    thread_id = begin(world, "/help")
    world.names[thread_id] = name
    world.restart()
    for text in ("/help", "Tea or coffee?", "And milk?"):
        world.start_turn(ANA, thread_id, text)
        world.settle()
        for running, turn_id in world.running():
            world.backend_done(turn_id)
            world.backend(running, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
        world.settle()
    assert [x.name for x in world.done if isinstance(x, c.NameThread)] == named
    assert all(x.instead_of == UNTITLED for x in world.done if isinstance(x, c.NameThread))


def test_models_marks_the_one_of_the_thread(world: World) -> None:
    thread_id = begin(world, "/models")
    assert "- `codex/openai/gpt-5.5` **← this thread**\n- `codex/openai/gpt-5.5-mini`\n" in answer(
        world, thread_id
    )
    world.ask(r.ChangeModel(world.envelope(ANA), thread_id, r.ModelWish(model="gpt-5.5-mini")))
    world.start_turn(ANA, thread_id, "/model")
    text = answer(world, thread_id)
    assert text.startswith("This thread uses `codex/openai/gpt-5.5-mini`.\n")
    assert "- `codex/openai/gpt-5.5-mini` **← this thread**" in text


def test_models_as_people_know_them() -> None:
    models = (ModelInfo("big", "The Big One", context_window=272_000), ModelInfo("small", "small"))
    provider = ProviderModels("p", "P", "codex", None, models)
    text = slash.models_text([provider], ModelChoice("codex", "p"))
    assert "- `codex/p/big` (The Big One, 272,000 tokens)\n- `codex/p/small`\n" in text
    assert slash.models_text([], ModelChoice("codex", "p")).endswith("This thread uses `codex/p`.")


@pytest.mark.parametrize("name", ["gpt-5.5-mini", "codex/gpt-5.5-mini", "openai/gpt-5.5-mini"])
def test_model_changes_the_model_of_the_thread(world: World, name: str) -> None:
    thread_id = begin(world, "/help")
    world.start_turn(ANA, thread_id, f"/model {name}")
    world.settle()
    assert "`codex/openai/gpt-5.5-mini` from its next turn on" in answer(world, thread_id)
    assert world.stored_model(thread_id) == OTHER
    assert any(isinstance(event.body, e.ModelChanged) for event in world.got(ANA).events)
    world.start_turn(ANA, thread_id, "hello")
    assert next(x for x in world.outstanding if isinstance(x, c.RunTurn)).turn.model == OTHER


def test_model_in_the_message_that_starts_a_thread(world: World) -> None:
    thread_id = begin(world, "/model gpt-5.5-mini")
    assert world.stored_model(thread_id) == OTHER


def test_the_model_a_thread_has_already(world: World) -> None:
    thread_id = begin(world, "/model gpt-5.5")
    assert "already" in answer(world, thread_id)
    assert world.stored_model(thread_id) is None


def test_a_model_that_is_not_there_lists_what_is(world: World) -> None:
    thread_id = begin(world, "/model gpt-4")
    text = answer(world, thread_id)
    assert "'gpt-4'" in text
    assert "codex/openai/gpt-5.5, codex/openai/gpt-5.5-mini" in text
    assert world.stored_model(thread_id) is None


def test_a_client_that_names_a_model_nobody_has_can_ask_for_the_models(world: World) -> None:
    thread_id = begin(world, "/help")
    wish = r.ModelWish(model="gone")
    world.ask(r.StartTurn(world.envelope(ANA), thread_id, (TextPart("/models"),), wish=wish))
    assert answer(world, thread_id).startswith("Models on offer")


LEVELS = Catalogue(
    [
        ProviderModels(
            *("openai", "OpenAI Codex", "codex", "gpt-5.5"),
            (
                ModelInfo("gpt-5.5", efforts=("low", "high"), default_effort="low"),
                ModelInfo("gpt-5.5-mini"),
                ModelInfo("gpt-4", takes_efforts=False),
            ),
        )
    ],
    ModelChoice("codex", "openai", "gpt-5.5"),
)


def test_the_effort_of_a_thread_stays_until_its_model_changes() -> None:
    world = World(catalogue=LEVELS)
    thread_id = begin(world, "/effort")
    assert answer(world, thread_id).startswith(
        "The reasoning effort of this thread is the default, which is `low`"
    )
    world.start_turn(ANA, thread_id, "/effort HIGH")
    assert answer(world, thread_id) == "The reasoning effort of this thread is `high` from its next turn on."
    assert world.stored_model(thread_id) == ModelChoice("codex", "openai", "gpt-5.5", "high")

    def efforts(wish: r.ModelWish, options: r.TurnOptions = r.TurnOptions()) -> str | None:  # noqa: B008
        world.ask(
            r.StartTurn(world.envelope(ANA), thread_id, (TextPart("do it"),), wish=wish, options=options)
        )
        world.settle()
        (run,) = [x for x in world.outstanding if isinstance(x, c.RunTurn)]
        world.backend(thread_id, run.turn.turn_id, e.TurnEnded(e.EndReason.COMPLETED))
        world.backend_done(run.turn.turn_id)
        world.settle()
        return run.turn.effort

    same = r.ModelWish("codex", "openai", "gpt-5.5")
    assert efforts(same) == "high", "clients that name the model they see do not lose the effort"
    assert efforts(same, r.TurnOptions(effort="low")) == "low"
    assert efforts(r.ModelWish()) == "high"
    assert efforts(r.ModelWish(model="gpt-5.5-mini")) is None
    world.start_turn(ANA, thread_id, "/model gpt-5.5")
    world.start_turn(ANA, thread_id, "/effort enormous")
    assert "has no reasoning effort `enormous`. There is: `low`, `high`, `default`." in answer(
        world, thread_id
    )
    world.start_turn(ANA, thread_id, "/effort high")
    world.start_turn(ANA, thread_id, "/effort default")
    assert efforts(r.ModelWish()) is None


def test_a_model_that_takes_no_effort_is_not_given_one() -> None:
    world = World(catalogue=LEVELS)
    thread_id = begin(world, "/model gpt-4")
    world.start_turn(ANA, thread_id, "/effort high")
    assert answer(world, thread_id) == "`codex/openai/gpt-4` takes no reasoning effort."
    stored = world.stored_model(thread_id)
    assert stored is not None
    assert stored.effort is None
    world.start_turn(ANA, thread_id, "/effort")
    assert "takes no reasoning effort: it reasons as it sees fit" in answer(world, thread_id)


def test_new_is_for_the_client(world: World) -> None:
    thread_id = begin(world, "/new")
    assert "client" in answer(world, thread_id)
    assert list(world.logs) == [thread_id]


def test_stop_when_nothing_runs(world: World) -> None:
    assert answer(world, begin(world, "/stop")) == slash.NOTHING_RUNS


def test_stop_acts_at_once_and_what_waits_goes_on(world: World) -> None:
    thread_id = begin(world)
    ((_, running),) = world.running()
    world.start_turn(ANA, thread_id, "next")
    stop = world.start_turn(BEN, thread_id, "/stop")
    assert answer(world, thread_id) == "Stopping the running turn. 1 more turn waits and runs after it."
    world.take(c.InterruptBackend)
    world.backend_done(running)
    world.backend(thread_id, running, e.TurnEnded(e.EndReason.INTERRUPTED))
    world.settle()
    told = [event.body for event in world.logs[thread_id] if event.turn_id == running]
    source = stop.envelope.message_id
    assert told[-3:] == [
        e.InterruptAccepted(source),
        e.Interrupted(source),
        e.TurnEnded(e.EndReason.INTERRUPTED),
    ]
    ((_, after),) = world.running()
    assert after != running


def test_a_command_neither_waits_nor_disturbs(world: World) -> None:
    thread_id = begin(world)
    ((_, running),) = world.running()
    world.backend(thread_id, running, e.Working("Running ls"))
    world.start_turn(ANA, thread_id, "waits")
    world.start_turn(ANA, thread_id, "/help")
    world.settle()
    (events,) = command_turns(world, thread_id).values()
    assert isinstance(events[-1].body, e.TurnEnded)
    assert world.running() == [(thread_id, running)]
    last = world.got(ANA).events[-1]
    assert isinstance(last.body, e.Status)  # clients clear their status at any turn's end
    assert (last.turn_id, last.body.text, last.body.mode) == (running, "Running ls", "steerable")


def test_a_steer_that_is_a_command_is_a_turn_of_its_own(world: World) -> None:
    thread_id = begin(world)
    ((_, running),) = world.running()
    steer = r.SteerTurn(world.envelope(ANA), thread_id, running, (TextPart("/models"),))
    world.ask(steer)
    (events,) = command_turns(world, thread_id).values()
    assert events[0].message_id == steer.envelope.message_id
    assert not any(isinstance(done, c.SteerBackend) for done in world.done)
    world.ask(r.SteerTurn(world.envelope(ANA), thread_id, running, (TextPart("/nonsense"),)))
    assert any(isinstance(done, c.SteerBackend) for done in world.done)


def test_other_words_with_a_slash_go_to_the_model(world: World) -> None:
    begin(world, "/clear the table")
    assert len(world.running()) == 1
    assert [x.name for x in world.done if isinstance(x, c.CreateThread)] == ["/clear the table"]


def test_a_command_that_comes_twice_counts_once(world: World) -> None:
    thread_id = begin(world, "/help")
    request = world.start_turn(ANA, thread_id, "/stop")
    world.ask(request)
    assert len(command_turns(world, thread_id)) == 2
    assert "twice" in world.warnings[-1]


def test_too_many_commands_are_refused(world: World) -> None:
    thread_id = begin(world)
    for _ in range(Limits().queued + 1):
        world.start_turn(ANA, thread_id, "/help")
    rejected = [x.body for x in world.got(ANA).events if isinstance(x.body, e.TurnRejected)]
    assert [x.error.code for x in rejected] == ["too_many_turns"]


def test_an_agent_that_stops_takes_no_command(world: World) -> None:
    thread_id = begin(world, "/help")
    world.start_thread(BEN, "/help")
    world.carry_out(world.supervisor.stop())
    world.start_turn(ANA, thread_id, "/help")
    world.settle()
    assert [type(x.body) for x in world.got(ANA).events[-1:]] == [e.TurnRejected]
    assert [type(x.body) for x in world.got(BEN).events[-1:]] == [e.TurnRejected]
    assert world.supervisor.idle


def test_a_command_in_a_thread_that_is_not_there(world: World) -> None:
    missing = ThreadId("dataset://t/missing")
    world.start_turn(ANA, missing, "/help")
    world.settle()
    (event,) = world.got(ANA).events
    assert isinstance(event.body, e.TurnRejected)
    assert event.body.error.code == "thread_not_available"

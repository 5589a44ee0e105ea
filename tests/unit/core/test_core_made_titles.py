"""Titles that a model makes: when they are asked for, and which of them count."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core import titles
from process_agent.core.content import FilePart, TextPart
from process_agent.core.ids import ThreadId
from tests.fakes.supervised import World, person

ANA = person("ana")
ASKED = "how do I bake bread with sourdough?"


@pytest.fixture
def world() -> World:
    world = World()
    world.titles = {ASKED: "Sourdough bread", "and rye?": "Rye"}
    return world


def begin(world: World, text: str = ASKED, name: str | None = None) -> ThreadId:
    world.ask(r.StartThread(world.envelope(ANA), (TextPart(text),), name))
    world.settle()
    return next(reversed(world.logs))


def end(world: World, reason: e.EndReason = e.EndReason.COMPLETED) -> None:
    thread_id, turn_id = world.running()[0]
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(reason))


def turn(world: World, thread_id: ThreadId, text: str) -> None:
    world.start_turn(ANA, thread_id, text)
    end(world)
    world.settle()


def asked(world: World) -> list[str]:
    return [x.text for x in world.done if isinstance(x, c.MakeTitle)]


def named(world: World) -> list[tuple[str, str | None]]:
    return [(x.name, x.instead_of) for x in world.done if isinstance(x, c.NameThread)]


def test_a_title_is_asked_for_once_the_first_turn_has_ended_and_never_again(world: World) -> None:
    thread_id = begin(world)
    end(world)
    assert asked(world) == []  # the end is not stored yet
    world.settle()
    assert asked(world) == [ASKED]
    assert [x.backend for x in world.done if isinstance(x, c.MakeTitle)] == ["codex"]
    assert named(world) == [("Sourdough bread", ASKED)]
    turn(world, thread_id, "and rye?")
    assert len(asked(world)) == 1


def test_not_for_a_thread_that_was_given_a_name(world: World) -> None:
    begin(world, name="Baking")
    end(world)
    world.settle()
    assert asked(world) == []


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_rename_wins(world: World, when: str) -> None:
    thread_id = begin(world)
    rename = r.RenameThread(world.envelope(ANA), thread_id, "Mine")
    if when == "before":
        world.ask(rename)
    end(world)
    world.happen(world.oldest(c.StoreTurnEnd))
    if when == "meanwhile":
        world.ask(rename)
    world.settle()
    assert len(asked(world)) == (0 if when == "before" else 1)
    assert named(world) == []


def test_a_deleted_thread_gets_no_name(world: World) -> None:
    thread_id = begin(world)
    end(world)
    world.happen(world.oldest(c.StoreTurnEnd))
    world.ask(r.DeleteThread(world.envelope(ANA), thread_id))
    world.settle()
    assert named(world) == []


@pytest.mark.parametrize("how", ["request", "command"])
def test_no_model_is_told_what_was_cleared(world: World, how: str) -> None:
    thread_id = begin(world)
    world.ask(r.ClearThread(world.envelope(ANA), thread_id))  # refused: a turn runs
    end(world, e.EndReason.FAILED)
    world.settle()
    if how == "request":
        world.ask(r.ClearThread(world.envelope(ANA), thread_id))
    else:
        world.start_turn(ANA, thread_id, "/clear")
    turn(world, thread_id, "something else")
    assert asked(world) == []


def test_a_turn_that_fails_does_not_count(world: World) -> None:
    thread_id = begin(world)
    end(world, e.EndReason.FAILED)
    world.settle()
    assert asked(world) == []
    turn(world, thread_id, "again")
    assert asked(world) == [ASKED]


def test_commands_do_not_count(world: World) -> None:
    thread_id = begin(world, "/help")
    turn_text = "and rye?"
    world.start_turn(ANA, thread_id, turn_text)
    world.start_turn(ANA, thread_id, "/models")
    world.settle()
    assert asked(world) == []
    end(world)
    world.settle()
    assert asked(world) == [turn_text]
    assert named(world) == [(turn_text, None), ("Rye", turn_text)]


def test_a_backend_that_makes_none_and_titles_that_are_none(world: World) -> None:
    world.titles = {ASKED: " \n "}
    begin(world)
    end(world)
    world.settle()
    begin(world, "no title for this")
    end(world)
    world.settle()
    assert len(asked(world)) == 2
    assert named(world) == []


def test_long_texts_and_titles_are_cut_and_files_have_none(world: World) -> None:
    text = "x" * (titles.MAX_TEXT + 1)
    world.titles = {text[:-1]: "t" * 200}
    begin(world, text)
    end(world)
    world.settle()
    ((name, _),) = named(world)
    assert len(name) == titles.MAX_TITLE
    world.ask(r.StartThread(world.envelope(ANA), (FilePart("room:///a.png"),)))
    world.settle()
    end(world)
    world.settle()
    assert len(asked(world)) == 1


def test_an_agent_that_stops_asks_for_none(world: World) -> None:
    begin(world)
    world.carry_out(world.supervisor.stop())
    end(world)
    world.settle()
    assert asked(world) == []

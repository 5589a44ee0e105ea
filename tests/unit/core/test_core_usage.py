"""Tokens and what they cost, and who hears of them."""

from __future__ import annotations

import pytest

from process_agent.core import commands as c
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.models import ModelInfo, Pricing, ProviderModels
from process_agent.core.participants import Participant
from process_agent.core.selection import Catalogue
from process_agent.core.usage import ContextWindow, Usage
from tests.fakes.supervised import DEFAULT, World, person

ANA, BEN = person("ana"), person("ben")
PRICED = ModelInfo("gpt-5.5", context_window=272_000, pricing=Pricing(input=2.0, output=10.0, cached=0.5))
USAGE = Usage(input=1_000_000, cached=400_000, output=100_000, reasoning=50_000)
COST = USAGE.cost(Pricing(input=2.0, output=10.0, cached=0.5))


@pytest.fixture
def world() -> World:
    models = (PRICED, ModelInfo("gpt-5.5-mini"))
    return World(
        catalogue=Catalogue([ProviderModels("openai", "OpenAI", "codex", "gpt-5.5", models)], DEFAULT)
    )


@pytest.mark.parametrize(
    ("pricing", "dollars"),
    [
        (Pricing(2.0, 10.0, 0.5), 0.6 * 2.0 + 0.4 * 0.5 + 0.1 * 10.0),
        (Pricing(2.0, 10.0), 2.0 + 0.1 * 10.0),
        (Pricing(0.0, 0.0, 0.0), 0.0),
    ],
)
def test_what_tokens_cost(pricing: Pricing, dollars: float) -> None:
    assert USAGE.cost(pricing) == pytest.approx(dollars)


def usages(world: World, who: Participant) -> list[e.ThreadEvent]:
    return [x for x in world.got(who).events if isinstance(x.body, e.UsageUpdated)]


def test_the_catalogue_fills_in_what_the_backend_does_not_say(world: World) -> None:
    world.start_thread(ANA)
    world.settle()
    thread_id, turn_id = world.running()[0]
    world.backend(
        thread_id,
        turn_id,
        e.UsageUpdated(USAGE, ContextWindow(5_000)),
        e.UsageUpdated(USAGE, ContextWindow(5_000, 128_000), 7.0),
        e.UsageUpdated(USAGE),
    )
    first, second, third = (x.body for x in usages(world, ANA))
    assert first == e.UsageUpdated(USAGE, ContextWindow(5_000, 272_000), COST)
    assert second == e.UsageUpdated(USAGE, ContextWindow(5_000, 128_000), 7.0)
    assert third == e.UsageUpdated(USAGE, None, COST)


def test_a_model_without_a_price_costs_nothing_known(world: World) -> None:
    world.start_thread(ANA, "/model gpt-5.5-mini")
    world.settle()
    world.start_turn(ANA, next(iter(world.logs)))
    world.backend(*world.running()[0], e.UsageUpdated(USAGE, ContextWindow(5_000)))
    assert usages(world, ANA)[0].body == e.UsageUpdated(USAGE, ContextWindow(5_000))


@pytest.mark.parametrize("load", [True, False])
@pytest.mark.parametrize("released", [True, False])
def test_who_opens_a_thread_in_which_nothing_runs_hears_the_last_usage_once(
    world: World, load: bool, released: bool
) -> None:
    world.start_thread(ANA)
    world.settle()
    thread_id, turn_id = world.running()[0]
    world.backend(thread_id, turn_id, e.UsageUpdated(Usage(1)), e.UsageUpdated(Usage(2)))
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    world.settle()
    if released:
        world.ask(r.Left(ANA, "chat"))
        world.carry_out(world.supervisor.timer_fired(c.Timer(c.TimerKind.IDLE, thread_id)))
    world.ask(r.OpenThread(world.envelope(BEN), thread_id, load))
    world.settle()
    told = [x.message_id for x in usages(world, BEN)]
    assert told == [x.message_id for x in usages(world, ANA)][-2 if load else -1 :]
    world.ask(r.OpenThread(world.envelope(BEN), thread_id))
    world.settle()
    assert len(usages(world, BEN)) == len(told)


def test_a_cleared_thread_has_no_usage(world: World) -> None:
    world.start_thread(ANA)
    world.settle()
    thread_id, turn_id = world.running()[0]
    world.backend(thread_id, turn_id, e.UsageUpdated(Usage(1)))
    world.backend_done(turn_id)
    world.backend(thread_id, turn_id, e.TurnEnded(e.EndReason.COMPLETED))
    world.settle()
    world.ask(r.ClearThread(world.envelope(ANA), thread_id))
    world.ask(r.OpenThread(world.envelope(BEN), thread_id))
    assert usages(world, BEN) == []

"""Tools that providers run themselves: what goes back, to whom."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from backends.llm.hosted import for_provider
from backends.llm.offer import hosted_lines, hosted_toolkits, make_offer
from process_agent.core.models import ModelChoice, ModelFacts, Pricing
from process_agent.core.providers import parse_providers
from process_agent.core.usage import Usage
from process_agent.errors import UsageError
from process_agent.wire.llm import events as e
from process_agent.wire.llm.messages import MessagesReader, body
from process_agent.wire.llm.request import (
    Hosted,
    HostedTool,
    Image,
    Item,
    Message,
    ModelRequest,
    Reasoning,
    Replay,
    Text,
)
from process_agent.wire.llm.responses_hosted import made
from tests.unit.llm.test_offer import CLAUDE, LOCAL, OPENAI, config

SEARCH: frozenset[HostedTool] = frozenset(("web_search", "image_generation"))
USE = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "pears"}}
FOUND = {"type": "web_search_result", "url": "https://p", "title": "P", "encrypted_content": "xyz"}
RESULT = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [FOUND]}


def read(*events: dict[str, Any]) -> list[e.StreamEvent]:
    reader = MessagesReader("anthropic")
    lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return [*reader.feed(lines.encode()), *reader.eof()]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ends(reason: str) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason}
    usage = {"output_tokens": 1, "server_tool_use": {"web_search_requests": 2}}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


def hosted_of(events: list[e.StreamEvent]) -> list[Hosted]:
    return [event.hosted for event in events if isinstance(event, e.HostedDone)]


def test_a_search_over_a_pause_goes_back_in_one_piece_with_its_result() -> None:
    written = {"type": "input_json_delta", "partial_json": '{"query": "pears"}'}
    paused = read(*block(0, {**USE, "input": {}}, written), *ends("pause_turn"))
    assert e.Ended(e.StopReason.PAUSED) in paused
    assert [event.usage.searches for event in paused if isinstance(event, e.Used)] == [2]
    text = {"type": "text_delta", "text": "Fruit."}
    cited = {"type": "web_search_result_location", "url": "https://p", "encrypted_index": "i"}
    on = read(
        *block(0, RESULT),
        *block(1, {"type": "text", "text": ""}, text, {"type": "citations_delta", "citation": cited}),
        *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": " Sweet."}),
        *ends("end_turn"),
    )
    (done,) = [event for event in on if isinstance(event, e.TextDone)]
    items: list[Item] = [*hosted_of(paused), *hosted_of(on), Message("assistant", done.parts)]
    asked = Message("user", (Text("pears?"),))
    sent = body(
        ModelRequest("m", (asked, *for_provider(items, "anthropic", SEARCH)), origin="anthropic", search=True)
    )
    (assistant,) = [message for message in sent["messages"] if message["role"] == "assistant"]
    texts = [{"type": "text", "text": "Fruit.", "citations": [cited]}, {"type": "text", "text": " Sweet."}]
    assert [_plain(each) for each in assistant["content"]] == [USE, RESULT, *texts]
    given_up: list[Item] = [*hosted_of(paused), asked]
    assert for_provider(given_up, "anthropic", SEARCH) == (asked,)


def _plain(each: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in each.items() if name != "cache_control"}


def test_a_broken_block_of_a_search_is_a_search_without_a_query() -> None:
    events = read(*block(0, {"type": "web_search_tool_result", "tool_use_id": 3, "content": "?"}), *ends("x"))
    (done,) = [event for event in events if isinstance(event, e.HostedDone)]
    assert (done.arguments, done.result) == ({}, {"results": []})


def test_who_cannot_read_it_is_told_in_words_and_reasoning_goes_with_what_it_led_to() -> None:
    asked = Message("user", (Text("pears?"),))
    thought = Reasoning("hm", Replay("openai", {"type": "reasoning"}))
    told = (Text("[The web was searched.]"),)
    searched = Hosted("web_search", Replay("openai", {"items": [{"type": "web_search_call"}]}), told)
    said = Message("assistant", (Text("A", Replay("openai", {})), Text("B")))
    items = (asked, thought, searched, said)
    assert for_provider(items, "openai", SEARCH) == items
    plain = (asked, Message("user", told), Message("assistant", (Text("AB"),)))
    assert for_provider(items, "anthropic", SEARCH) == plain
    assert for_provider(items, "openai") == plain  # without the tool it cannot be told again


def test_only_the_newest_images_that_models_made_are_sent_again() -> None:
    def image(number: int) -> Hosted:
        replay = Replay("openai", {"items": [{"type": "image_generation_call", "id": f"i{number}"}]})
        return Hosted("image_generation", replay, (Text(f"made {number}"), Image("data:x")))

    images = [image(number) for number in range(6)]
    found = for_provider(images, "openai", SEARCH)
    assert found == (*(Message("user", (Text(f"made {n}"),)) for n in (0, 1)), *images[2:])
    others = for_provider(images, "anthropic", SEARCH)
    assert [len(item.parts) for item in others if isinstance(item, Message)] == [1, 1, 2, 2, 2, 2]


def test_images_are_counted_as_they_are_charged() -> None:
    one = {
        "type": "image_generation_call",
        "id": "i",
        "result": "aGk=",
        "quality": "low",
        "size": "1024x1024",
    }
    assert made(one) == ("low 1024x1024",)
    assert made({**one, "quality": None}) == ("unknown 1024x1024",)
    assert made({**one, "result": ""}) == made({"type": "web_search_call", "result": "x"}) == ()


def test_what_is_charged_by_the_piece_has_its_price_with_the_model() -> None:
    facts = {
        ("openai", "a"): ModelFacts(pricing=Pricing(1, 2, search=10.0)),
        ("openai", "gpt-image-1"): ModelFacts(images={"low 1024x1024": 0.011}),
    }
    openai = replace(OPENAI, web_search=True, image_generation=True)
    wanted = replace(config(("openai", "a"), providers=(openai,)), image_model="gpt-image-1", facts=facts)
    ((model,),) = (entry.models for entry in make_offer("llm", wanted).models)
    assert model.pricing == Pricing(1, 2, search=10.0, images={"low 1024x1024": 0.011})
    usage = Usage(1_000_000, searches=3, images=("low 1024x1024", "unknown 1024x1024"))
    assert usage.cost(model.pricing) == pytest.approx(1 + 0.03 + 0.011)
    assert (usage.unpriced(model.pricing), usage.unpriced(None), usage.unpriced(Pricing(1, 2))) == (1, 5, 5)


def test_who_has_a_tool_is_said_and_listed() -> None:
    openai = replace(OPENAI, web_search=True, image_generation=True)
    claude = replace(CLAUDE, key="k", web_search=True)
    wanted = config(("openai", "a"), ("anthropic", "b"), providers=(openai, claude, LOCAL))
    both = replace(wanted, web_search=True, image_model="gpt-image-1")
    offer = make_offer("llm", both)
    assert hosted_lines(offer, wanted) == ()
    lines = (("web search", "OpenAI, Anthropic"), ("image generation", "gpt-image-1, OpenAI"))
    assert hosted_lines(offer, both) == lines
    assert [(kit.name, [name for name, _ in kit.tools]) for kit in hosted_toolkits(offer, both)] == [
        ("openai", ["web_search", "image_generation"]),
        ("anthropic", ["web_search"]),
    ]
    assert offer.hosts_tools == {"web_search", "image_generation"}
    local = replace(both, models=(ModelChoice("llm", "ollama", "q"),))
    assert make_offer("llm", local).hosts_tools == frozenset()
    assert hosted_lines(make_offer("llm", local), local) == ()


def test_a_provider_can_be_said_to_have_a_tool_that_its_dialect_has() -> None:
    own = {"base_url": "https://x", "dialect": "responses", "web_search": True}
    assert parse_providers({"providers": {"x": own}}, {}, "f")["x"].web_search
    with pytest.raises(UsageError, match="web_search` needs the dialect responses or messages"):
        parse_providers({"providers": {"x": {**own, "dialect": "chat"}}}, {}, "f")

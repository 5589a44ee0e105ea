"""The text of a message is made once for all who get it, and is what its readers read again."""

from __future__ import annotations

import json

import pytest

from process_agent.core.content import Json
from process_agent.rooms import requests
from process_agent.rooms.requests import BodyTexts


def test_one_message_has_one_text() -> None:
    texts = BodyTexts()
    body: dict[str, Json] = {"type": "a", "text": "grüße"}
    assert texts.text(body) is texts.text(body)
    assert json.loads(texts.text(body)) == body


def test_messages_are_told_apart_by_what_they_are() -> None:
    texts = BodyTexts()
    seen = {json.loads(texts.text({"number": number}))["number"] for number in range(1_000)}
    assert seen == set(range(1_000))


def test_only_a_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_TEXTS", 2)
    texts = BodyTexts()
    bodies: list[dict[str, Json]] = [{"number": number} for number in range(3)]
    made = [texts.text(body) for body in bodies]
    assert texts.text(bodies[2]) is made[2]
    assert texts.text(bodies[0]) is not made[0]


def test_a_long_one_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_TEXT_BYTES", 10)
    texts = BodyTexts()
    body: dict[str, Json] = {"text": "x" * 20}
    assert texts.text(body) is not texts.text(body)
    assert json.loads(texts.text(body)) == body


def test_half_a_surrogate_pair_is_passed_on() -> None:
    body: dict[str, Json] = {"text": "a\ud83d"}
    assert json.loads(BodyTexts().text(body)) == body

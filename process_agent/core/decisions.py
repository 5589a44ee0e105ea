"""What can be decided about a request that waits for people, and how their words answer a question. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

MAX_ANSWER = 20_000
"""Characters of the answer to one question."""

type Answers = Mapping[str, tuple[str, ...]]
"""What was answered, by the id of the question: texts, or labels of options."""

NO_ANSWERS: Answers = MappingProxyType({})


class Decision(StrEnum):
    """What was decided about an item that waited for approval."""

    ACCEPT = "accept"
    ACCEPT_FOR_SESSION = "accept_for_session"
    """And the same is not asked again, as long as the backend remembers it."""
    DECLINE = "decline"
    CANCEL = "cancel"
    """Decline, and stop the turn."""
    UNANSWERED = "unanswered"
    """Nobody decided in time, or nobody could: that means no. No participant can ask for it."""

    @property
    def accepts(self) -> bool:
        """Whether it may be done."""
        return self in (Decision.ACCEPT, Decision.ACCEPT_FOR_SESSION)


YES_OR_NO = (Decision.ACCEPT, Decision.DECLINE)
"""What can be decided where a backend says nothing else."""

EVERY = (Decision.ACCEPT, Decision.ACCEPT_FOR_SESSION, Decision.DECLINE, Decision.CANCEL)
"""What can be decided where yes for the session means something."""

EACH_TIME = (Decision.ACCEPT, Decision.DECLINE, Decision.CANCEL)
"""What can be decided about something that is asked about each time."""


@dataclass(frozen=True, slots=True)
class Option:
    """One of the answers to choose from."""

    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a model or a tool wants to know of people. With options one of them is chosen, or several; where
    it is `free`, any other text is an answer too. `kind` says what a text has to be.
    """

    id: str
    text: str
    header: str = ""
    options: tuple[Option, ...] = ()
    free: bool = True
    several: bool = False
    required: bool = True
    kind: Literal["text", "number", "integer"] = "text"


SKIPPED = "-"
"""The answer that leaves out what is not required."""


def read_answer(question: Question, said: str) -> tuple[str, ...] | None:
    """The answer in what somebody said: the label or the number of an option, or free text. None when it is
    none; empty when the question was left out.
    """
    text = said.strip()
    if not question.required and text == SKIPPED:
        return ()
    if not text or len(text) > MAX_ANSWER:
        return None
    if (chosen := _chosen(question, text)) is not None:
        return (chosen,)
    if question.several:
        several = [_chosen(question, part.strip()) for part in text.split(",")]
        if all(label is not None for label in several):
            return tuple(dict.fromkeys(label for label in several if label is not None))
    if question.options and not question.free:
        return None
    return (text,) if _fits(question, text) else None


def check_answer(question: Question, given: tuple[str, ...]) -> tuple[str, ...] | None:
    """The same for an answer that a client's form gives, whose parts are not taken apart."""
    if len(given) > 1 and not question.several:
        return None
    if not given:
        return None if question.required else ()
    read = [read_answer(question, part) for part in given]
    return None if not all(read) else tuple(dict.fromkeys(text for part in read if part for text in part))


def _chosen(question: Question, text: str) -> str | None:
    """The label, before the number: a label may be a number."""
    labels = [option.label for option in question.options]
    same = [label for label in labels if label.strip().casefold() == text.casefold()]
    if same:
        return text if text in same else same[0]
    number = text.removesuffix(".").removesuffix(")")
    if number.isascii() and number.isdecimal() and 1 <= int(number) <= len(labels):
        return labels[int(number) - 1]
    return None


def _fits(question: Question, text: str) -> bool:
    if question.kind == "text":
        return True
    try:
        value = float(text) if question.kind == "number" else int(text)
    except ValueError:
        return False
    return math.isfinite(value)

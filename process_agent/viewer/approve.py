"""How requests for approval are answered at a terminal. Light: help imports it."""

from __future__ import annotations

from enum import StrEnum


class Approve(StrEnum):
    """Who answers: the person at this terminal, other participants, or nobody, always the same."""

    ASK = "ask"
    WAIT = "wait"
    NEVER = "never"
    ALWAYS = "always"

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backends.codex.limits import THRESHOLDS, RateLimits


def window(used: object, minutes: object = 300, at: object = None) -> dict[str, Any]:
    return {"usedPercent": used, "windowDurationMins": minutes, "resetsAt": at}


def said(limits: RateLimits, **members: Any) -> list[str]:
    return limits.update({"rateLimits": members})


def test_a_limit_is_spoken_of_when_it_comes_near_and_not_again() -> None:
    limits = RateLimits()
    assert said(limits, primary=window(12), secondary=window(74, 10_080)) == []
    assert said(limits, primary=window(76, at=1_795_178_040)) == [
        "76 % of the 5-hour limit of this Codex login is used; it begins anew on 20 November at 12:34 UTC."
    ]
    assert said(limits, primary=window(89)) == []
    assert said(limits, secondary=window(96, 10_080)) == [
        "96 % of the 7-day limit of this Codex login is used."
    ]
    assert said(limits, primary=window(3)) == [], "a new window"
    assert said(limits, primary=window(100, 45)) == [
        "100 % of the 45-minute limit of this Codex login is used."
    ]


def test_other_limits_have_their_name_and_the_end_is_said_once() -> None:
    limits = RateLimits()
    (text,) = said(limits, limitName="gpt-6", primary=window(95, None))
    assert text == "95 % of the limit of gpt-6 of this Codex login is used."
    reached = {"limitId": "codex", "rateLimitReachedType": "rate_limit_reached"}
    assert said(limits, **reached) == ["The limit of this Codex login is reached (rate_limit_reached)."]
    assert said(limits, **reached) == []


def test_a_provider_without_limits_says_nothing() -> None:
    limits = RateLimits()
    assert said(limits, primary=None, secondary=None, rateLimitReachedType=None, limitId="codex") == []
    assert limits.update({"rateLimits": None}) == limits.update({}) == []


@given(st.lists(st.integers(0, 120), max_size=60))
def test_a_window_that_fills_is_spoken_of_at_most_once_for_each_threshold(steps: list[int]) -> None:
    limits = RateLimits()
    found = [text for used in sorted(steps) for text in said(limits, primary=window(used))]
    assert len(found) <= len(THRESHOLDS)
    assert bool(found) == any(used >= THRESHOLDS[0] for used in steps)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3) | st.booleans(), st.lists, max_leaves=3))
def test_members_of_any_type_are_survived(value: Any) -> None:
    limits = RateLimits()
    members = dict.fromkeys(("usedPercent", "windowDurationMins", "resetsAt"), value)
    said(limits, primary=members, secondary=value, limitId=value, rateLimitReachedType=value)
    said(limits, primary=window(99, value, value))

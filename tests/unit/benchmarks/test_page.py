"""The page of figures: sections that were not measured again stay as they were."""

from __future__ import annotations

from benchmarks.page import page


def test_measured_sections_are_replaced_in_their_place_and_others_stay() -> None:
    first = page("", {"A": "## A\n\none", "B": "## B\n\ntwo"}, "cli==1", "on Monday.")
    second = page(first, {"A": "## A\n\nthree", "C": "## C\n\nfour"}, "cli==2", "on Tuesday.")
    assert second.count("# Benchmarks") == 1
    assert "cli==2" in second
    assert (
        second.index("three\n\nMeasured on Tuesday.")
        < second.index("two\n\nMeasured on Monday.")
        < second.index("four")
    )
    assert "one" not in second.partition("## A")[2]
    assert page(second, {}, "cli==2", "") == second

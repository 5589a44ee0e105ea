"""The format of rules files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.rules import Rules, parse_rules, together

TEXT = (
    "\ufeff# comment\nAnswer in one paragraph.\r\n\n  # no\n[powerboards]\nUse Markdown tables.\n[ boards ]\n"
)


def test_sections_are_for_clients_of_their_name() -> None:
    rules = parse_rules(TEXT + "Be brief.\n[powerboards]\n  Use [bold] words.\n[]\n")
    assert rules.for_client(None) == ("Answer in one paragraph.",)
    everybody = "Answer in one paragraph."
    assert rules.for_client("powerboards") == (everybody, "Use Markdown tables.", "Use [bold] words.", "[]")
    assert rules.for_client("boards") == (everybody, "Be brief.")
    assert rules.for_client("other") == (everybody,)


def test_several_sources_keep_their_order() -> None:
    both = together([Rules(("one",), {"c": ("a",)}), Rules(("two",), {"c": ("b",), "d": ("x",)})])
    assert both.for_client("c") == ("one", "two", "a", "b")
    assert both.for_client("d") == ("one", "two", "x")
    assert together([]) == Rules()


@given(st.text(), st.sampled_from([None, "a", "powerboards"]))
def test_any_text_is_rules_of_one_line_each(text: str, client: str | None) -> None:
    for rule in parse_rules(text).for_client(client):
        assert rule == rule.strip()
        assert len(rule.splitlines()) == 1
        assert not rule.startswith("#")

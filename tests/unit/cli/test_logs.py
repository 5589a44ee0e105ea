"""Log lines on standard error."""

from __future__ import annotations

import logging

import pytest

from process_agent.cli.logs import MAX_RECORD, PlainLines


def logged(text: str, *values: object) -> str:
    record = logging.LogRecord("x", logging.WARNING, "f", 1, text, values, None)
    return PlainLines("%(levelname)s %(message)s").format(record)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("call_1", "call_1"),
        ("\x1b]0;mine\x07\x1b[2Ja", "a"),
        ("a\nERROR all is lost", "a\n    ERROR all is lost"),
        ("a\rb\u2028c\x85d", None),
        ("\u202egnp.exe", "gnp.exe"),
        ("Größe ✓", "Größe ✓"),
    ],
)
def test_what_participants_choose_drives_no_terminal_and_makes_no_line(given: str, shown: str | None) -> None:
    text = logged("%s may not decide", given)
    if shown is not None:
        assert text == f"WARNING {shown} may not decide"
    assert all(line.startswith("    ") for line in text.split("\n")[1:])
    assert all(character == "\n" or character.isprintable() for character in text)


def test_a_long_record_is_cut_in_the_middle() -> None:
    text = logged("begin %s end", "y" * 1_000_000)
    assert len(text) < MAX_RECORD + 100
    assert text.startswith("WARNING begin y")
    assert text.endswith("y end")


def test_a_traceback_stays_whole_and_indented() -> None:
    try:
        raise ValueError("\x1b[31mred")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), (type(error), error, None))
    assert PlainLines("%(message)s").format(record) == "failed\n    ValueError: red"

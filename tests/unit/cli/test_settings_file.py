"""Reading a `process.toml`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.cli.settings_file import Kind, lines_of, parse
from process_agent.errors import UsageError

KNOWN: dict[str, Kind] = {
    "room": "text",
    "sandbox": "text",
    "network": "switch",
    "port": "integer",
    "join-timeout": "number",
    "channel": "list",
    "data-dir": "path",
    "rules-file": "paths",
}
FILE = Path("/here/process.toml")

GOOD = """# ours
room = "demo"
network = true
join-timeout = 3
channel = ["chat", "queue:jobs"]
data-dir = "data"
rules-file = ["a.txt", "~/b.txt", "/c.txt"]

[profiles.work]
"room" = "office"
port = 9000
[ profiles . "at home" ]   # quoted
sandbox = 'read-only'
"""


def test_a_good_file() -> None:
    found = parse(GOOD, FILE, KNOWN)
    assert {key: entry.value for key, entry in found.always.items()} == {
        "room": "demo",
        "network": True,
        "join-timeout": 3,
        "channel": ["chat", "queue:jobs"],
        "data-dir": "/here/data",
        "rules-file": ["/here/a.txt", "~/b.txt", "/c.txt"],
    }
    assert found.always["network"].place == "/here/process.toml:3"
    assert found.profiles["work"]["room"].place == "/here/process.toml:10"
    assert found.profiles["at home"]["sandbox"].line == 13


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('sandbx = "read-only"', ["process.toml:1", "'sandbx'", "Did you mean 'sandbox'?"]),
        ('zzz = "x"', ["process.toml:1", "'zzz'", "join --help"]),
        ('\nnetwork = "yes"', ["process.toml:2", "network", "true or false"]),
        ("port = true", ["port", "whole number"]),
        ("port = 1.5", ["port", "whole number"]),
        ("join-timeout = true", ["join-timeout", "a number"]),
        ('channel = "chat"', ["channel", "list of texts"]),
        ("channel = [1]", ["channel", "list of texts"]),
        ('rules-file = "x"', ["rules-file", "list of paths"]),
        ("room = 5", ["room", "a text"]),
        ("room = [profile", ["is not TOML", "line 1"]),
        ("profiles = 5", ["profiles is not a table"]),
        ("[profiles]\nwork = 5", ["profiles.work is not a table"]),
        ("[profiles.none]", ["'none'", "profile's name"]),
        ('[profiles.work]\nrom = "x"', ["process.toml:2", "'rom'", "'room'"]),
        ("[join]\nx = 1", ["'join'"]),
    ],
)
def test_mistakes_name_file_line_and_key(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, FILE, KNOWN)
    for word in words:
        assert word in str(caught.value)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200) | st.text("[]=.\"'# \nab1", max_size=60))
def test_any_text_is_a_file_or_a_usage_error(text: str) -> None:
    lines_of(text)
    with contextlib.suppress(UsageError):
        parse(text, FILE, KNOWN)

"""The installed Codex says and asks what the pinned one does, and all of it has its place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import backends.codex
from backends.codex.drift import PINNED, as_text, main, written_by
from backends.codex.mapping import HANDLED
from backends.codex.notices import NOTICED
from backends.codex.surface import (
    HEARD,
    ITEMS,
    LEFT_OUT,
    REFUSED,
    REQUESTS,
    UNSENT,
    Digest,
    differences,
    digest,
    unknown,
)

SOURCES = Path(backends.codex.__file__).parent.glob("*.py")


def pinned() -> Digest:
    found: Digest = json.loads(PINNED.read_text())
    return found


def test_the_installed_codex_is_the_pinned_one_and_nothing_it_says_is_homeless() -> None:
    found = digest(written_by(None))
    assert differences(pinned(), found) == []
    assert unknown(found) == []
    assert PINNED.read_text() == as_text(found)


def test_no_name_here_is_older_than_the_pinned_version() -> None:
    """A place for something that no version says any more would be dead."""
    ours = pinned()
    assert ours["items"].keys() == ITEMS
    assert REQUESTS | REFUSED.keys() == ours["requests"].keys()
    said = ours["notifications"].keys() | {"thread/section/changed"}  # since 0.169
    said |= {"rawResponseItem/completed", "rawResponse/completed"}  # in no schema; other tests see them come
    places = [*HANDLED, *NOTICED, *HEARD, *UNSENT, *LEFT_OUT]
    assert len(places) == len(set(places)), "one place each"
    for place in places:
        assert any(name == place or (place.endswith("/") and name.startswith(place)) for name in said), place


def test_what_is_called_can_be_called() -> None:
    called = {
        method
        for source in SOURCES
        for method in re.findall(r'request\(\s*"([a-zA-Z/_]+)"', source.read_text())
        if "/" in method
    }
    assert {"thread/start", "turn/start", "turn/interrupt", "command/exec"} <= called
    assert called <= pinned()["calls"].keys()


def test_a_newer_version_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = written_by(None)
    types = schema["definitions"]
    types["v2"]["ThreadItem"]["oneOf"].append(
        {"properties": {"type": {"enum": ["dream"]}, "id": {}, "text": {}}}
    )
    notifications = types["ServerNotification"]["oneOf"]
    notifications.append(
        {"properties": {"method": {"enum": ["dream/began"]}, "params": {"properties": {"a": {}}}}}
    )
    del notifications[0]
    types["ServerRequest"]["oneOf"].append({"properties": {"method": {"enum": ["dream/allow"]}}})
    types["v2"]["TurnStartParams"]["properties"]["depth"] = {}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    assert main(["--schema", str(tmp_path / "schema.json")]) == 1
    report = capsys.readouterr().out
    for line in (
        "items: dream is new",
        "notifications: dream/began is new",
        "notifications: error is gone",
        "requests: dream/allow is new",
        "calls: turn/start has other members: +depth",
        "item dream: shown with its name and all members",
        "notification dream/began: not shown",
        "request dream/allow: refused, the turn goes on",
    ):
        assert f"  {line}\n" in report

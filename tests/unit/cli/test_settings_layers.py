"""Which process.toml counts, and in which order."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from process_agent.cli.settings_file import Kind
from process_agent.cli.settings_layers import MAX_FILE, find, read, trust
from process_agent.cli.settings_places import NAME, Places, profile_named
from process_agent.errors import UsageError

KNOWN: dict[str, Kind] = {"room": "text", "sandbox": "text", "approvals": "text", "agent-name": "text"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("user", "work"):
        (tmp_path / name).mkdir()
    return Places(tmp_path / "user", tmp_path / "work")


def write_here(places: Places, text: str) -> None:
    assert places.here is not None
    places.here.write_text(text)


def trusted(places: Places, text: str) -> None:
    write_here(places, text)
    trust(places, text.encode())


def values(places: Places, profile: str | None = None) -> dict[str, object]:
    return {key: entry.value for key, entry in find(places, KNOWN).values(profile).items()}


def test_nothing_is_fine(places: Places) -> None:
    assert not places.any
    assert values(places) == {}


def test_the_order(places: Places) -> None:
    places.own.write_text('room = "1"\nsandbox = "1"\nagent-name = "1"\n[profiles.p]\nagent-name = "3"\n')
    trusted(places, 'room = "2"\nagent-name = "2"\n[profiles.p]\nsandbox = "4"\n')
    assert values(places) == {"room": "2", "sandbox": "1", "agent-name": "2"}
    assert values(places, "p") == {"room": "2", "sandbox": "4", "agent-name": "3"}
    with pytest.raises(UsageError, match="There is: p"):
        values(places, "q")


def test_what_somebody_left_in_the_folder_does_not_count(places: Places) -> None:
    """Not its values, not its profiles, and not even its mistakes."""
    for text in ('approvals = "auto"\n[profiles.p]\nsandbox = "full-access"', "= damaged", "\0"):
        write_here(places, text)
        found = find(places, KNOWN)
        assert found.untrusted == places.here
        assert found.values(None) == {}
        with pytest.raises(UsageError, match="not trusted"):
            found.values("p")


def test_trust_is_for_one_content_in_one_folder(places: Places, tmp_path: Path) -> None:
    trusted(places, 'room = "2"')
    write_here(places, 'room = "2"\napprovals = "auto"')
    assert values(places) == {}
    write_here(places, 'room = "2"')
    assert values(places) == {"room": "2"}
    other = Places(places.user, tmp_path / "other")
    other.work.mkdir()
    write_here(other, 'room = "2"')
    assert values(other) == {}
    trust(places, None)
    assert values(places) == {}
    assert stat.S_IMODE((places.user / "trusted.json").stat().st_mode) == 0o600


def test_a_file_that_others_may_write_is_refused(places: Places) -> None:
    places.own.write_text('room = "1"')
    places.own.chmod(0o666)
    with pytest.raises(UsageError, match="chmod go-w"):
        find(places, KNOWN)
    places.own.unlink()
    trusted(places, 'room = "2"')
    (places.user / "trusted.json").chmod(0o620)
    with pytest.raises(UsageError, match="chmod go-w"):
        find(places, KNOWN)


def test_what_is_no_file(places: Places) -> None:
    assert places.here is not None
    os.mkfifo(places.here)
    with pytest.raises(UsageError, match="not a file"):
        find(places, KNOWN)
    places.here.unlink()
    write_here(places, "#" * (MAX_FILE + 1))
    with pytest.raises(UsageError, match="larger"):
        read(places.here)


def test_in_the_folder_of_settings_itself_there_is_one_file(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path)
    (tmp_path / NAME).write_text('room = "1"')
    assert values(places) == {"room": "1"}


def test_which_profile() -> None:
    assert profile_named(None, None) == (None, True)
    assert profile_named("a", "b") == ("a", True)
    assert profile_named(None, "b") == ("b", True)
    assert profile_named("none", "b") == (None, False)

"""The login file: what we change in it, and that the rest stays."""

from __future__ import annotations

import copy
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.errors import AuthError
from process_agent.rooms.login import read_login
from process_agent.rooms.oauth import Session
from process_agent.rooms.saved import change, key_of, with_project, with_session, without_login

URL = "https://api.example"
SESSION = Session("access", "refresh", 2_000_000_000)
ANA = {"id": "u1", "first_name": "Ana", "last_name": None, "email": "ana@example.com"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
files = st.dictionaries(
    st.sampled_from(["users", "active_user_id", "active_profiles", "theirs"]) | st.text(max_size=6),
    json_values,
    max_size=4,
)


def read(tmp_path: Path, saved: dict[str, Any]) -> Any:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(saved))
    return read_login(path, URL)


def test_a_login_with_a_project(tmp_path: Path) -> None:
    saved = with_project(with_session({}, URL, SESSION, ANA), URL, "p1")
    found = read(tmp_path, saved)
    assert (found.access_token, found.refresh_token, found.project_id) == ("access", "refresh", "p1")
    assert found.who == "Ana, ana@example.com"
    assert list(saved["users"]) == [key_of(URL, "u1")] == ['["https://api.example","u1"]']
    assert saved["active_user_id"] == saved["active_profiles"][URL] == key_of(URL, "u1")


def test_a_key_before_a_login_goes_to_who_logs_in(tmp_path: Path) -> None:
    saved = with_project({}, URL, "p1", "ma-key")
    assert read(tmp_path, saved).api_keys == {"p1": "ma-key"}
    saved = with_session(saved, URL, SESSION, ANA)
    assert list(saved["users"]) == [key_of(URL, "u1")]
    assert read(tmp_path, saved).api_keys == {"p1": "ma-key"}


def test_logging_out_forgets_keys_too(tmp_path: Path) -> None:
    saved = with_project(with_session({"theirs": 1}, URL, SESSION, ANA), URL, "p1", "ma-key")
    gone = without_login(saved, URL)
    assert read(tmp_path, gone) is None
    assert "ma-key" not in json.dumps(gone)
    assert "refresh" not in json.dumps(gone).replace("refresh_token", "")
    assert gone["theirs"] == 1
    assert without_login(gone, "https://other.example") == gone


@given(files)
def test_whatever_the_file_holds(saved: dict[str, Any]) -> None:
    """Never an error, never a change of the argument, and members we do not know stay as they are."""
    before = copy.deepcopy(saved)
    for changed in (
        with_session(saved, URL, SESSION, ANA),
        with_session(saved, URL, SESSION, None),
        with_project(saved, URL, "p1", "key"),
        without_login(saved, URL),
    ):
        ours = ("users", "active_user_id", "active_profiles")
        assert {k: v for k, v in changed.items() if k not in ours} == {
            k: v for k, v in before.items() if k not in ours
        }
    assert saved == before


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".meshagent" / "settings.json"
    change(path, lambda saved: with_session(saved, URL, SESSION, ANA))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)  # as another tool may have left it
    change(path, lambda saved: with_project(saved, URL, "p1"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == [".process-lock", "settings.json"]


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_damaged_file_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(AuthError, match="damaged"):
        change(path, lambda saved: with_project(saved, URL, "p1"))
    assert path.read_text() == text

"""Where threads work, as other programs of this machine find it."""

from __future__ import annotations

import json
from pathlib import Path

from process_agent.cli.thread_output import workplace
from process_agent.core.ids import ThreadId
from process_agent.workspaces.places import Place, places_of

THREAD = ThreadId("dataset://agents/bot/threads/1")


def test_where_a_thread_works_is_shown(tmp_path: Path) -> None:
    assert workplace(tmp_path, THREAD, json=False) == []
    place = Place(THREAD, Path("/repo"), Path("/repo.threads/x"), "process/x", "abc", "sub")
    places = places_of(tmp_path, "a bot")
    places.keep(place)
    (line,) = workplace(tmp_path, THREAD, json=False)
    assert line == "Works in /repo.threads/x/sub, on the branch process/x of /repo"
    (record,) = workplace(tmp_path, THREAD, json=True)
    assert json.loads(record) == {
        "type": "workspace",
        "folder": "/repo.threads/x/sub",
        "branch": "process/x",
        "repository": "/repo",
    }
    assert places.of(THREAD, Path("/other")) is None
    places.forget(place)
    assert workplace(tmp_path, THREAD, json=False) == []

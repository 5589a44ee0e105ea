"""The published `meshagent` program takes a login that `process login` kept for its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from process_agent.rooms.login import login_file, read_login
from process_agent.rooms.oauth import Session
from process_agent.rooms.saved import change, with_project, with_session
from tests.contract.published.install import for_published, python_programs
from tests.fakes.program import Program

pytestmark = for_published

URL = "http://127.0.0.1:9"


def test_it_lists_our_login_and_keeps_the_file_readable_for_us(tmp_path: Path) -> None:
    program = Program(tmp_path / "home", MESHAGENT_API_URL=URL, MESHAGENT_DISABLE_VERSION_CHECK="1")
    path = login_file(program.home)
    profile = {"id": "u1", "first_name": "Ana", "email": "ana@example.com"}
    change(path, lambda s: with_session(s, URL, Session("access", "refresh", 2_000_000_000), profile))
    change(path, lambda saved: with_project(saved, URL, "p1", "ma-key"))
    done = subprocess.run(
        [str(python_programs() / "meshagent"), "auth", "switch"],
        env=program.environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert f"* Ana [u1] @ {URL}" in done.stdout, done.stderr
    found = read_login(path, URL)
    assert found is not None
    assert (found.project_id, found.api_keys, found.access_token) == ("p1", {"p1": "ma-key"}, "access")

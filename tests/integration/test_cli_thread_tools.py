"""`process threads …` as typed, over tables in memory: each sub-command with what it prints."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from process_agent.cli.app import app
from process_agent.config import DataPaths
from process_agent.core import events as e
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import MessageId
from process_agent.core.participants import Participant
from process_agent.core.room import TableRef
from process_agent.errors import ProcessError
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.thread_events import Speaker
from tests.fakes.thread_house import House, append

TOOLS = ("delete", "export", "following", "importing", "prune", "repair", "scrub", "search", "show", "stats")
SECRET = "swordfish-swordfish"

type Run = Callable[..., Result]


class Room:
    """What a joined room has, in memory."""

    def __init__(self) -> None:
        self.house = House()
        self.name = "demo"
        self.datasets = self.house.datasets
        self.files = MemoryFiles()
        self.here: list[Participant] = []
        self.messaging = SimpleNamespace(participants=lambda: self.here)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Room:
    made = Room()

    @asynccontextmanager
    async def joined(_options: Any) -> AsyncIterator[tuple[Room, DataPaths]]:
        yield made, DataPaths(tmp_path)

    for tool in TOOLS:
        monkeypatch.setattr(f"process_agent.cli.thread_tools.{tool}.joined", joined)
    monkeypatch.setattr("process_agent.cli.threads.joined", joined)
    return made


@pytest.fixture
def run(room: Room) -> Run:
    def runs(*words: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(app, ["threads", "--agent-name", "bot", *words])
        if fails:
            assert isinstance(result.exception, ProcessError), result.output
        else:
            assert result.exit_code == 0, (result.output, result.exception)
        return result

    return runs


async def fill(room: Room) -> list[str]:
    """Two threads; both speak of one file, the second of another."""
    paths = []
    for number in (1, 2):
        store, log, speaker = await room.house.thread(f"thread {number}")
        files = [
            FilePart("room:///uploads/000000aa/a.png"),
            *([FilePart("room:///uploads/000000bb/b.png")] * (number == 2)),
        ]
        append(
            log, say(speaker, f"find {SECRET} {number}", files), speaker.text("It is here."), speaker.end()
        )
        await log.flush()
        await store.close()
        paths.append(str(log.thread_id))
    for path in ("uploads/000000aa/a.png", "uploads/000000bb/b.png"):
        await room.files.write(path, b"x")
    return paths


def say(speaker: Speaker, text: str, files: list[FilePart]) -> list[e.ThreadEvent]:
    source = MessageId("m")
    content: tuple[ContentPart, ...] = (TextPart(text), *files)
    return [
        speaker.say(e.TurnRequested(content, "Ana"), "u1", source),
        speaker.say(e.TurnStarted(source, content, "Ana")),
    ]


def filled(room: Room) -> list[str]:
    import asyncio

    return asyncio.run(fill(room))


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_search(room: Room, run: Run) -> None:
    first, second = filled(room)
    text = run("search", "FIND").stdout
    assert text.index(second) < text.index(first), "the latest first"
    *matches, end = lines(run("search", "here", "--limit", "1", "--json"))
    assert [(m["who"], m["text"]) for m in matches] == [("agent", "It is here.")]
    assert end["stopped_at"] == "matches"
    assert "Nothing found in 2 threads" in run("search", "nowhere").stdout
    assert "--max-rows raises it" in run("search", "x", "--max-rows", "1").stdout
    run("search", "(", "-E", fails=True)


def test_show_the_last_turns(room: Room, run: Run) -> None:
    first, _ = filled(room)
    assert "It is here." in run("show", first, "--tail", "1").stdout
    records = lines(run("show", first, "--json"))
    assert [record["type"] for record in records] == ["message", "message", "turn"]


def test_what_is_exported_is_imported_again(room: Room, run: Run, tmp_path: Path) -> None:
    first, second = filled(room)
    file = tmp_path / "all.jsonl"
    (told,) = lines(run("export", "--all", "-o", str(file), "--json"))
    assert set(told["threads"]) == {first, second}
    assert file.stat().st_mode & 0o777 == 0o600
    run("export", "--all", "-o", str(file), fails=True)  # it is there already
    assert run("export", first).stdout.startswith('{"process":"thread"')
    assert run("export", first, "-o", "-").stdout == run("export", first).stdout
    for form, beginning in (("md", "# thread 1"), ("html", "<!doctype html>")):
        run("export", first, "-o", str(tmp_path / f"one.{form}"))
        assert (tmp_path / f"one.{form}").read_text().startswith(beginning)
    run("export", "--all", "--format", "html", "-o", str(tmp_path / "pages"))
    assert len(list((tmp_path / "pages").glob("*.html"))) == 2
    again = lines(run("import", str(file), "--json"))
    assert {one["from"] for one in again} == {first, second}
    assert len(lines(run("--json"))) == 4
    (tmp_path / "bad").write_text("{}")
    run("import", str(tmp_path / "bad"), fails=True)
    run("export", fails=True)


def test_files_go_along(room: Room, run: Run, tmp_path: Path) -> None:
    _, second = filled(room)
    room.files.files["uploads/000000bb/b.png"] = b"\x89PNG\r\n\x1a\n" + bytes(32)
    document, page = tmp_path / "one.md", tmp_path / "one.html"
    run("export", second, "-o", str(document))
    names = sorted(path.name for path in (tmp_path / "one-files").iterdir())
    assert names == ["000000aa-a.png", "000000bb-b.png"]
    assert "(<one-files/000000bb-b.png>)" in document.read_text()
    run("export", second, "-o", str(document), fails=True)
    run("export", second, "-o", str(document), "--force")
    run("export", second, "-o", str(page))
    assert 'src="data:image/png;base64,iVBO' in page.read_text()
    assert '<a download="a.png" href="data:application/octet-stream;base64,eA==">' in page.read_text()
    run("export", second, "-o", str(tmp_path / "bare.html"), "--no-files")
    assert "octet-stream" not in (tmp_path / "bare.html").read_text()
    del room.files.files["uploads/000000aa/a.png"]
    (told,) = lines(run("export", second, "-o", str(tmp_path / "two.jsonl"), "--json"))
    assert told["files_left_out"] == ["uploads/000000aa/a.png"]
    run("delete", second, "--yes")
    assert "uploads/000000bb/b.png" not in room.files.files
    run("import", str(tmp_path / "two.jsonl"))
    assert "uploads/000000bb/b.png" in room.files.files


def test_stats(room: Room, run: Run) -> None:
    first, _ = filled(room)
    agent, total = lines(run("stats", "--json"))
    assert (agent["agent"], agent["threads"], agent["turns"], agent["complete"]) == ("bot", 2, 2, True)
    assert total["bytes"] == agent["bytes"]
    assert lines(run("stats", first, "--json"))[0]["thread"] == first
    assert "2 threads" in run("stats").stdout


def test_delete_takes_the_files_of_nobody_else_along(room: Room, run: Run) -> None:
    first, second = filled(room)
    run("delete", second, fails=True)  # nobody is here to ask
    deleted, *files = lines(run("delete", second, "--yes", "--json"))
    assert deleted["deleted"] == second
    assert files == [{"file_removed": "uploads/000000bb/b.png"}]
    assert "Removed the file uploads/000000aa/a.png" in run("delete", first, "--yes").stdout
    assert run("list").stdout == "There are no threads.\n"


def test_prune(room: Room, run: Run) -> None:
    filled(room)  # in May 2026 by the clock of the test
    assert run("prune", "--older-than", "1m", "--dry-run").stdout.count("Would go") == 2
    assert "Deleted" in run("prune", "--older-than", "1m", "--keep", "1", "--yes").stdout
    assert len(lines(run("--json"))) == 1
    run("prune", "--older-than", "soon", fails=True)


def test_scrub(room: Room, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FISH_KEY", SECRET)
    first, _ = filled(room)
    assert lines(run("scrub", first, "--dry-run", "--json"))[0]["secrets"] == 2
    (told,) = lines(run("scrub", first, "--pattern", "is here", "--json"))
    assert (told["secrets"], told["rows_changed"]) == (3, 3)
    rows = str(room.datasets.thread(first))
    assert SECRET not in rows
    assert "is here" not in rows
    room.here = [Participant("p", "agent", {"name": "bot", "supports_agent_messages": True})]  # type: ignore[arg-type]
    run("scrub", first, fails=True)  # it may be writing
    run("scrub", first, "--pattern", "x*", fails=True)


def test_rows_that_are_there_twice_are_removed(room: Room, run: Run) -> None:
    first, second = filled(room)
    whole = room.datasets.thread(first)
    name = first.rsplit("/", 1)[-1]
    ref = TableRef(name, ("agents", "bot", "threads"))
    table = room.datasets.tables[ref]
    room.datasets.tables[ref] = pa.concat_tables([table, table.slice(1, 3)])
    assert len(lines(run("search", "here", "--thread", first, "--json"))) == 2, "a match and the end"
    assert lines(run("repair", first, "--dry-run", "--json"))[0]["rows_doubled"] == 3
    assert len(room.datasets.thread(first)) == len(whole) + 3
    assert "3 rows that were there twice removed" in run("repair", first).stdout
    assert room.datasets.thread(first) == whole
    room.datasets.calls.clear()
    assert lines(run("repair", first, second, "--json"))[1]["rows_doubled"] == 0
    assert not [call for call in room.datasets.calls if call[0] in ("drop", "insert", "create")]
    room.here = [Participant("p", "agent", {"name": "bot", "supports_agent_messages": True})]  # type: ignore[arg-type]
    run("repair", first, fails=True)  # it may be writing

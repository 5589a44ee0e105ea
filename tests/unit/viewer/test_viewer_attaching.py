"""`/attach`, `/detach` and `--attach`: what can be attached, where the room keeps it, that nothing stays."""

from __future__ import annotations

import base64
import os
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.cli.talking import talk_of
from process_agent.core.content import FilePart, TextPart
from process_agent.core.events import EndReason, TurnEnded
from process_agent.errors import RoomError, RoomRequestError, UsageError
from process_agent.viewer import attaching
from process_agent.viewer.approve import Approve
from process_agent.viewer.attaching import Attaching, path_for, paths_in
from process_agent.viewer.client import AgentClient
from process_agent.viewer.once import Errand, run_once
from process_agent.viewer.terminal import commands as c
from process_agent.viewer.terminal import pending
from process_agent.viewer.terminal.session import Session
from process_agent.viewer.terminal.streamed import TextSink
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.viewer_room import FakeAgent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_bytes(b"three")
    (tmp_path / "my file.pdf").write_bytes(b"%PDF-1.4")
    return tmp_path


def tray(files: MemoryFiles | None = None) -> Attaching:
    numbers = count(1)
    return Attaching(files, new_id=lambda: f"id{next(numbers)}")


async def test_files_wait_in_the_room_and_go_with_the_message(here: Path) -> None:
    room = MemoryFiles()
    files = tray(room)
    said = await pending.perform(c.Attach("notes.txt 'my file.pdf'"), files)
    assert said == "notes.txt, my file.pdf will be sent with your next message."
    assert room.files == {"uploads/id1/notes.txt": b"three", "uploads/id2/my file.pdf": b"%PDF-1.4"}
    assert [one.part for one in files.take()] == [
        FilePart("room:///uploads/id1/notes.txt", "notes.txt"),
        FilePart("room:///uploads/id2/my%20file.pdf", "my file.pdf"),
    ]
    assert await files.close() == []
    assert len(room.files) == 2, "what was sent stays"


async def test_what_is_not_sent_is_removed(here: Path) -> None:
    room = MemoryFiles()
    files = tray(room)
    await pending.perform(c.Attach("my file.pdf"), files)
    await pending.perform(c.Attach("notes.txt notes.txt"), files)
    with pytest.raises(UsageError, match=r"attached: 1 my file.pdf, 2 notes.txt, 3 notes.txt"):
        await files.detach("notes.txt")
    assert await pending.perform(c.Detach("2"), files) == "No longer attached: notes.txt."
    assert sorted(room.files) == ["uploads/id1/my file.pdf", "uploads/id3/notes.txt"]
    await files.detach("my file.pdf")
    assert await files.close() == []
    assert room.files == {}
    for command in (c.Detach(""), c.Attach("")):
        with pytest.raises(UsageError, match="Nothing is attached"):
            await pending.perform(command, files)


async def test_one_bad_file_of_several_leaves_none_behind(here: Path) -> None:
    room = MemoryFiles()
    files = tray(room)
    with pytest.raises(UsageError, match=r"gone\.txt cannot be attached: No such file"):
        await files.attach([Path("notes.txt"), Path("gone.txt")])
    assert (room.files, files.pending) == ({}, [])


class Refusing(MemoryFiles):
    """Storage that takes files and gives none back, or takes none."""

    def __init__(self, *, takes: bool) -> None:
        super().__init__()
        self.takes = takes

    async def write(self, path: str, data: bytes, **how: Any) -> None:
        if not self.takes:
            raise RoomRequestError("You may not write here.", code=1001)
        await super().write(path, data, **how)

    async def delete(self, path: str) -> None:
        raise RoomRequestError("You may not delete here.", code=1001)


async def test_what_cannot_be_removed_is_named(here: Path) -> None:
    files = tray(Refusing(takes=True))
    await files.attach([Path("notes.txt")])
    with pytest.raises(RoomError, match=r"uploads/id1/notes\.txt could not be removed"):
        await files.detach("")
    await files.attach([Path("notes.txt")])
    assert await files.close() == ["uploads/id2/notes.txt"]
    with pytest.raises(RoomRequestError, match="may not write"):
        await tray(Refusing(takes=False)).attach([Path("notes.txt")])


async def test_what_is_no_file_or_too_much(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(here / "pipe")
    files = tray(MemoryFiles())
    for name in (".", "pipe", "/dev/zero"):
        with pytest.raises(UsageError, match="cannot be attached"):
            await files.attach([Path(name)])
    with pytest.raises(UsageError, match="at most 20 files"):
        await files.attach([Path("notes.txt")] * 21)
    monkeypatch.setattr(attaching, "MAX_BYTES", 4)
    with pytest.raises(UsageError, match=r"notes\.txt is too large"):
        await files.attach([Path("notes.txt")])


async def test_without_a_room_a_file_travels_within_the_message(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tray()
    (taken,) = await files.attach([Path("notes.txt")])
    assert taken.part.url == f"data:text/plain;base64,{base64.b64encode(b'three').decode()}"
    assert await files.detach("") == [taken]
    monkeypatch.setattr(attaching, "MAX_EMBEDDED_TOTAL", 9)
    with pytest.raises(UsageError, match="--room NAME"):
        await files.attach([Path("notes.txt"), Path("notes.txt")])


def test_a_line_names_files_as_a_shell_does(here: Path) -> None:
    assert paths_in("my file.pdf") == [Path("my file.pdf")]
    assert paths_in(r"my\ file.pdf 'notes.txt'") == [Path("my file.pdf"), Path("notes.txt")]
    assert paths_in("~/x.txt") == [Path.home() / "x.txt"]
    with pytest.raises(UsageError, match="quotation"):
        paths_in("'open")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("notes.txt", "notes.txt"),
        (".env", "env"),
        ("...", "file"),
        ("a\\b:c?.txt", "a_b_c_.txt"),
        ("x" * 100 + ".tar", "x" * 56 + ".tar"),
        ("\udcff.txt", "_.txt"),
    ],
)
def test_names_in_the_room(name: str, kept: str) -> None:
    assert path_for(name, "1") == f"uploads/1/{kept}"


@given(st.text(min_size=1))
def test_any_name_stays_in_its_folder(name: str) -> None:
    folder, unique, kept = path_for(name, "1").split("/")
    assert (folder, unique) == ("uploads", "1")
    assert kept
    assert not kept.startswith(".")
    assert len(kept.encode()) <= 240


def session(client: AgentClient, shown: list[Any], given_back: list[str]) -> Session:
    return Session(
        client,
        me="ana",
        approve=Approve.ASK,
        show=shown.extend,
        changed=lambda: None,
        give_back=given_back.append,
    )


async def test_a_message_that_cannot_be_sent_keeps_its_files(here: Path) -> None:
    fake, room = FakeAgent(), MemoryFiles()
    back: list[str] = []
    async with AgentClient(fake.room) as client:
        await client.find(1)
        talk = session(client, [], back)
        talk.attaching = tray(room)
        await talk.perform(c.Attach("notes.txt"))
        assert [str(line) for line in talk.live(80)] == ["+ 1 notes.txt · 5 bytes"]
        fake.room.leave(fake.me)
        await talk.perform(c.Say("look"))
        assert (back, len(talk.attaching.pending)) == (["look"], 1)
        fake.room.join(fake.me)
        await talk.perform(c.Say("look"))
        stream = await fake.room.stream(0)
        await fake.heard("turn.start")
        file = {"type": "file", "url": "room:///uploads/id1/notes.txt", "name": "notes.txt"}
        assert stream.sent[-1]["content"] == [{"type": "text", "text": "look"}, file]
        await talk.perform(c.Attach("notes.txt"))
        await talk.perform(c.ForAgent("/diff"))
        assert stream.sent[-1]["content"] == [{"type": "text", "text": "/diff"}]
        assert await talk.close() == []
    assert list(room.files) == ["uploads/id1/notes.txt"]


async def test_one_turn_says_when_its_message_is_on_its_way() -> None:
    sent: list[str] = []
    content = (TextPart("look"), FilePart("room:///uploads/1/a.txt", "a.txt"))
    fake = FakeAgent(TurnEnded(EndReason.COMPLETED))
    async with AgentClient(fake.room) as client:
        await run_once(client, Errand(content, sent=lambda: sent.append("yes")), TextSink(StringIO(), None))
        assert sent == ["yes"]
        fake.room.leave(fake.me)
        with pytest.raises(RoomError):
            await run_once(
                client, Errand(content, sent=lambda: sent.append("no")), TextSink(StringIO(), None)
            )
    assert sent == ["yes"]


def test_flags_are_checked_before_anything_is_done(here: Path) -> None:
    def talk(message: str | None, *names: str) -> object:
        files = [Path(name) for name in names]
        return talk_of(
            message,
            thread=None,
            json=False,
            approve=None,
            model=None,
            timeout=None,
            history=here / "h",
            attach=files,
        )

    assert talk("look", "notes.txt", "my file.pdf")
    with pytest.raises(UsageError, match="gone cannot be attached"):
        talk("look", "notes.txt", "gone")
    with pytest.raises(UsageError, match=r"--attach goes with --message\. Here /attach FILE does it"):
        talk(None, "notes.txt")

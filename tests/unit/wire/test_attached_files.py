"""Which files of the room a message can attach."""

from __future__ import annotations

import pytest

from process_agent.core.content import ContentPart, FilePart
from process_agent.errors import WireError
from process_agent.wire.agent_messages.parts import Fields, decode_attached


def decoded(url: str) -> tuple[ContentPart, ...]:
    return decode_attached(Fields({"type": "turn.start", "content": [{"type": "file", "url": url}]}))


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("uploads/a.png", "room:///uploads/a.png"),
        ("/uploads/a.png", "room:///uploads/a.png"),
        ("room:///uploads/a%20b.png", "room:///uploads/a%20b.png"),
        ("ROOM:///a.txt", "ROOM:///a.txt"),
        ("data:text/plain,..%2f.hidden", "data:text/plain,..%2f.hidden"),
        ("dataset://images?id=1", "dataset://images?id=1"),
    ],
)
def test_a_path_is_a_file_of_the_room(url: str, means: str) -> None:
    assert decoded(url) == (FilePart(means),)


@pytest.mark.parametrize(
    "url",
    [
        ".emails/a/message.eml",
        "room:///.emails/a/message.eml",
        "room:///uploads/../.emails/x",
        "room:///uploads/%2e%2e/secret",
        "room:///uploads/..%2f..%2fsecret",
        "room:///uploads\\..\\x",
        "Room:/.threads/x",
        "room:.threads",
    ],
)
def test_folders_the_room_keeps_for_itself_cannot_be_attached(url: str) -> None:
    with pytest.raises(WireError, match="is not a file that can be attached"):
        decoded(url)

"""Which files belong to a thread, whatever its rows name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core.content import FilePart, TextPart
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.room_addresses import path_at, room_address
from process_agent.threads.room_files import ATTACHED, SHOWN, files_of, own_path

MINE, OUT = "uploads/3f2a91bc/a picture.png", "agents/my bot/files/0123456789ab/out.png"


def test_what_was_attached_and_shown_belongs_to_the_thread() -> None:
    content = (TextPart("look"), FilePart(room_address(MINE)), FilePart("data:,x"))
    assert list(files_of(e.TurnRequested(content, "Ana"))) == [MINE]
    assert list(files_of(e.TurnAccepted(MessageId("m"), content, "Ana"))) == [MINE]
    assert list(files_of(e.FileShown(ItemId("i"), room_address(OUT)))) == [OUT]


def test_people_cannot_claim_what_agents_showed_nor_agents_what_people_attached() -> None:
    assert list(files_of(e.TurnRequested((FilePart(room_address(OUT)),), "Eve"))) == []
    assert list(files_of(e.FileShown(ItemId("i"), room_address(MINE)))) == []


@pytest.mark.parametrize(
    "address",
    [
        "room:///uploads/reports/2026.pdf", "room:///uploads/3f2a91bc", "room:///uploads/3f2a91bc/",
        "room:///uploads/3f2a91bc/../reports", "room:///uploads/3f2a91bc/%2e%2e", "room:///uploads/3f2a91bc/x/y",
        "room:///uploads/3f2a91bc/..%2f..%2fnotes", "room:///uploads/3f2a91bc/a%5cb", "room:///uploads/3F2A91BC/x",
        "room:///uploads/3f2a91bc/a%00", "room:///uploads/3f2a91bc/.hidden", "file:///uploads/3f2a91bc/x",
        "room:///agents/bot/files/notes/x", "room:///agents/../files/0123456789ab/x", "room:///notes.txt",
        "room:", "uploads/3f2a91bc/x",
        "room:///x/uploads/3f2a91bc/x", "room:///uploads/3f2a91bc/" + "a" * 300,
    ],
)  # fmt: skip
def test_all_other_files_are_somebodys_own(address: str) -> None:
    assert own_path(address) is None


@given(st.text(max_size=80))
def test_whatever_is_named_stays_within_the_folders_of_attachments(text: str) -> None:
    for address in (text, f"room:{text}", f"room:///uploads/3f2a91bc/{text}"):
        path = own_path(address)
        assert path is None or ATTACHED.fullmatch(path) or SHOWN.fullmatch(path)
        assert path is None or not {"", ".", ".."} & set(path.split("/"))


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_an_address_names_the_path_it_was_made_of(name: str) -> None:
    path = f"uploads/3f2a91bc/{name}"
    assert path_at(room_address(path)) == path

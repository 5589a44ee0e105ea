"""Names and paths chosen by people cannot leave their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.room_server.datasets.names import MAX_DEPTH, Place, TableKey, decode_name, encode_name
from process_agent.room_server.storage_files import clean_path
from process_agent.room_server.sync import clean_path as clean_document_path
from process_agent.room_server.toolkit import ToolError

ROOT = Path("/room/datasets")
odd = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("/\\.\x00=~%:aA"), min_size=1, max_size=20
)


@given(odd)
def test_names_come_back(name: str) -> None:
    encoded = encode_name(name)
    assert decode_name(encoded) == name
    assert encoded == encoded.lower()
    assert set(encoded) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-=")


@given(odd, odd)
def test_different_names_stay_different_whatever_the_case(one: str, two: str) -> None:
    assert (encode_name(one).casefold() == encode_name(two).casefold()) == (one == two)


@given(st.lists(odd, max_size=4), odd, odd)
def test_tables_lie_in_their_place(namespace: list[str], branch: str, name: str) -> None:
    path = TableKey(Place.of(namespace, branch), name).path(ROOT)
    assert path.parent.parent == Place.of(namespace, None).namespace_folder(ROOT)
    assert len(path.relative_to(ROOT).parts) == len(namespace) + 2


@pytest.mark.parametrize("name", ["", "x" * 201, "\ud800", "Ä" * 40])
def test_unusable_names(name: str) -> None:
    with pytest.raises(ToolError):
        encode_name(name)


@pytest.mark.parametrize("namespace", ["a", [1], [None], {"a": 1}, ["a"] * (MAX_DEPTH + 1)])
def test_unusable_namespaces(namespace: object) -> None:
    with pytest.raises(ToolError):
        Place.of(namespace, None)


@given(st.text(st.sampled_from("./\\ab\x00\n~ü"), max_size=30))
def test_storage_paths_stay_below_their_root(raw: str) -> None:
    try:
        path = clean_path(raw)
    except ToolError:
        return
    parts = path.split("/") if path else []
    assert not {"", ".", ".."} & set(parts)
    assert clean_path(path) == path
    assert clean_path(f"/./{raw}") == path


@given(st.text(max_size=30))
def test_document_paths_lose_their_prefix_only(raw: str) -> None:
    try:
        path = clean_document_path(raw)
    except ToolError:
        return
    assert raw.endswith(path)
    assert not path.startswith(("/", "./"))

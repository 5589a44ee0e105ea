"""Values of Arrow columns are those that Arrow itself makes of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.threads.places import values
from process_agent.threads.schema import DATA

texts = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=12)
numbers = st.lists(st.none() | st.integers(-(1 << 63), (1 << 63) - 1), max_size=12)


def checked(made: list[Any], kind: Any, start: int, length: int) -> None:
    chunks = [pa.array(made, kind).slice(start, length), pa.array(made, kind), pa.array([], kind)]
    column = pa.chunked_array(chunks, kind)
    assert values(column) == column.to_pylist()
    assert values(column.dictionary_encode()) == column.to_pylist()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@given(texts, st.integers(0, 5), st.integers(0, 5))
def test_texts(kind: Any, made: list[str | None], start: int, length: int) -> None:
    checked(made, kind, start, length)


@given(numbers, st.integers(0, 5), st.integers(0, 5))
def test_numbers(made: list[int | None], start: int, length: int) -> None:
    checked(made, pa.int64(), start, length)


@given(texts, st.integers(0, 5), st.integers(0, 5))
def test_texts_of_an_extension(made: list[str | None], start: int, length: int) -> None:
    stored = pa.array(made, DATA.storage_type).slice(start, length)
    column: Any = pa.chunked_array([pa.ExtensionArray.from_storage(DATA, stored)])
    assert values(column) == stored.to_pylist()

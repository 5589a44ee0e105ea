"""Addresses of images, and what is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.images import address_of, embedded, id_of

GIF = "data:image/png;base64,R0lGODlhAQABAAAAACw="


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_an_address_names_its_image(image_id: str) -> None:
    assert id_of(address_of(image_id)) == image_id


@pytest.mark.parametrize(
    "address",
    [
        "",
        "images?id=1",
        "dataset://images",
        "dataset://images?id=",
        "dataset://images?name=1",
        "dataset://agents/bot/images?id=1",
        "dataset://images/more?id=1",
        "dataset://emails?id=1",
        "room:///images?id=1",
        "dataset://[images?id=1",
    ],
)
def test_other_addresses_name_no_image(address: str) -> None:
    assert id_of(address) is None


def test_published_addresses_are_read() -> None:
    assert id_of("dataset://images?id=image-1") == "image-1"
    assert id_of(" dataset://images/?id=a%20b&x=1 ") == "a b"


def test_what_a_data_address_holds_is_told_by_its_bytes() -> None:
    found = embedded(GIF)
    assert found is not None
    assert found[0] == "image/gif"
    for none in (
        "",
        "data:image/png;base64,",
        "data:image/png;base64,!",
        "data:image/png,abc",
        "room:///a.png",
    ):
        assert embedded(none) is None

from __future__ import annotations

import uuid

from process_agent.io.random_ids import random_uuid


def test_they_are_random_uuids_and_none_comes_twice() -> None:
    made = [random_uuid() for _ in range(500)]
    assert len(set(made)) == 500
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
    assert {text[19] for text in made} == set("89ab")

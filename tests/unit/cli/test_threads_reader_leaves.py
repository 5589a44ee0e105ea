"""Who reads the output of `process threads` may want no more of it: `| head`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import typer

from process_agent.cli.threads import run


def test_what_was_open_is_closed_when_the_reader_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    told: list[str] = []

    async def rows() -> AsyncGenerator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append("rows")

    async def lines() -> AsyncGenerator[str]:
        try:
            async for row in rows():
                yield row
        finally:
            closed.append("room")

    def echo(line: str) -> None:
        told.append(line)
        raise BrokenPipeError

    monkeypatch.setattr(typer, "echo", echo)
    with pytest.raises(BrokenPipeError):
        run(lines())
    assert told == ["one"]
    assert sorted(closed) == ["room", "rows"]

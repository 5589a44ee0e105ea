"""What the program says when a command fails."""

from __future__ import annotations

import pytest

from process_agent.cli import main, tree
from process_agent.errors import RoomError


def test_an_error_that_quotes_somebody_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RoomError("in the room: \x1b]0;title\x07\x1b[2Jana.", fix="Try again.")

    monkeypatch.setattr(tree, "command", lambda: fail)
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "process: in the room: ana. Try again.\n"

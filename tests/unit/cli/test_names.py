"""Names of rooms, agents and threads that cannot be are told before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.cli import main

SCRIPTED = ("--channel", "chat", "--backend", "codex", "--provider", "scripted", "--local")


def process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["process", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("join", "--agent-name", "a", *SCRIPTED),
        ("chat", "--local", "--message", "hi"),
        ("threads", "--local"),
        ("token", "--identity", "ana"),
        ("room", "link"),
    ],
)
@pytest.mark.parametrize("name", ["My Room", "a/b", "..", "h\u00e9"])
def test_a_local_room_with_an_impossible_name_is_a_usage_error(
    name: str,
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data"
    code, said = process(monkeypatch, capsys, *arguments, "--room", name, "--data-dir", str(data))
    assert code == 2
    assert "is not a room name" in said
    assert "lower-case letters" in said
    assert not (data / "room-server.json").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "Under which name?"),
        ("  ", "Under which name?"),
        ("a/b", "no slash"),
        ("../../x", "no slash"),
        ("a\nb", "can be printed"),
        ("a\x1b[31m", "can be printed"),
        ("x" * 101, "1 to 100"),
    ],
)
def test_an_impossible_name_of_an_agent_is_a_usage_error(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MESHAGENT_TOKEN", raising=False)
    arguments = ("join", "--room", "r", *SCRIPTED, "--data-dir", str(tmp_path), f"--agent-name={name}")
    code, told = process(monkeypatch, capsys, *arguments)
    assert code == 2
    assert said in told
    assert not (tmp_path / "room-server.json").exists()

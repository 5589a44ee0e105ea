"""What shells are answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.cli.completion.answers import answer, load_outline, split
from process_agent.cli.completion.candidates import cut_for_bash, following
from process_agent.cli.completion.outline import outline
from process_agent.cli.tree import command

TREE = json.loads(json.dumps(outline(command())))


def names(words: str, typed: str = "") -> list[str]:
    return [value for value, _ in following(TREE, words.split(), typed).values]


def test_commands_and_groups() -> None:
    assert {"join", "chat", "threads", "doctor", "completion"} <= set(names(""))
    assert "use" not in names("")
    assert names("", "jo") == ["join"]
    assert {"list", "show"} <= set(names("threads"))
    assert names("threads", "sh") == ["show"]
    assert names("nothing") == names("")


def test_flags() -> None:
    assert names("join", "--sandb") == ["--sandbox"]
    assert "--room" in names("join")
    assert "--room" not in names("join --room x", "--")
    assert "--room" not in names("join --room=x", "--")
    assert "--channel" in names("join --channel chat", "--")
    assert "--help" in names("join", "--")
    assert names("join --", "--") == []


def test_values() -> None:
    assert names("join --sandbox", "re") == ["read-only"]
    assert names("join --approvals") == ["ask", "deny", "auto"]
    assert "codex" in names("join --backend")
    found = following(TREE, ["join"], "--sandbox=re")
    assert ([value for value, _ in found.values], found.prefix) == (["read-only"], "--sandbox=")
    assert names("login") == ["meshagent", "codex"]
    assert names("login codex") == []
    assert names("completion", "z") == ["zsh"]
    assert names("usage --by") == ["turn", "thread", "model", "day"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("join --room", "rooms"),
        ("chat --room r --agent-name", "agents"),
        ("threads show", "threads"),
        ("join --profile", "profiles"),
        ("service logs", "services"),
        ("deploy --service-name", "services"),
        ("join --working-dir", "dirs"),
        ("join --rules-file", "files"),
        ("join --rule", None),
    ],
)
def test_what_is_looked_up(words: str, kind: str | None) -> None:
    assert following(TREE, words.split(), "").kind == kind


@given(
    st.lists(st.text(max_size=8) | st.sampled_from(["join", "--room", "--", "--sandbox=", "-r"])), st.text()
)
def test_any_words_have_an_answer(words: list[str], typed: str) -> None:
    found = following(TREE, words, typed)
    assert all(value.startswith(found.typed) for value, _ in found.values)


@given(st.text(max_size=40))
def test_any_line_is_split(line: str) -> None:
    assert split(line)


def test_lines_are_split_as_a_shell_does() -> None:
    assert split("process join --room ") == ["join", "--room", ""]
    assert split("process join --rule 'a b") == ["join", "--rule", "a b"]
    assert split('process  "x y" z\\ w') == ["x y", "z w"]
    assert split("process ''") == [""]
    assert split("") == [""]


def test_bash_begins_words_anew_after_some_characters() -> None:
    assert cut_for_bash("--sandbox=", "re", "=:") == "--sandbox="
    assert cut_for_bash("", "queue:x", "=:") == "queue:"
    assert cut_for_bash("", "queue:x", "") == ""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PROCESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    rooms = tmp_path / "data" / "rooms"
    threads = rooms / "demo" / "datasets" / "n.agents" / "n.bot" / "n.threads" / "b.main"
    for name in ("t.index", "t.11111111", "t.22222222", "t.$(touch bad)"):
        (threads / name).mkdir(parents=True)
    (rooms / "$(touch bad)").mkdir()
    (rooms / "a\nb").mkdir()
    return tmp_path


def test_answers(room: Path) -> None:
    assert answer("zsh", ["join", "--room", ""]) == "values\ndemo\t\n"
    assert answer("fish", ["join", "--room="]) == "values\n--room=demo\t\n"
    assert answer("bash", [" =:", "process chat --room=d"]) == "values\ndemo\n"
    assert answer("bash", [" ", "process chat --room=d"]) == "values\n--room=demo\n"
    assert answer("bash", ["=:", "process chat --room demo --agent-name "]) == "values\nbot\n"
    listed = answer("bash", ["=:", "process threads show --room demo "])
    assert sorted(listed.split()) == ["11111111", "22222222", "values"]
    assert answer("bash", ["=:", "process join --channel que"]) == "open\nqueue:\n"
    assert answer("bash", ["=:", "process join --rules-file "]) == "files\n"
    (room / "process.toml").write_text("[profiles.work]\n")
    assert answer("bash", ["=:", "process join --profile "]) == "values\nwork\nnone\n"
    assert answer("bash", ["=:", "process join --room x --agent-name "]) == "values\n"


def test_names_of_services(room: Path) -> None:
    for number, (name, where) in enumerate((("desk", "demo"), ("$(touch bad)", "demo"), ("other", "lab"))):
        folder = room / "data" / "services" / str(number)
        folder.mkdir(parents=True)
        record = {"room": where, "current": {"document": {"metadata": {"name": name}}}}
        (folder / "record.json").write_text(json.dumps(record))
    (room / "data" / "services" / "marks").mkdir()
    damaged = room / "data" / "services" / "damaged"
    damaged.mkdir()
    (damaged / "record.json").write_text("[1]")
    assert answer("bash", ["=:", "process service show "]) == "values\ndesk\nother\n"
    assert answer("bash", ["=:", "process service stop --room lab "]) == "values\nother\n"


def test_the_outline_is_kept_and_a_damaged_one_made_anew(room: Path) -> None:
    assert load_outline() == TREE
    [kept] = (room / "cache" / "process").iterdir()
    kept.write_text("{")
    assert load_outline() == TREE
    assert json.loads(kept.read_text()) == TREE

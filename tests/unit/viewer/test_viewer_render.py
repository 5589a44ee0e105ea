"""What a terminal shows of each item: safe, short, and nothing hidden from who has to approve."""

from __future__ import annotations

import pytest
from rich.console import RenderableType

from process_agent.core.content import ErrorInfo, Json, JsonResult, LogLine, TextPart, TextResult
from process_agent.core.decisions import EVERY, Decision, Option, Question
from process_agent.core.events import ApprovalDecided, ApprovalRequested, EndReason, ToolRef
from process_agent.core.ids import ItemId, MessageId, ParticipantId, TurnId
from process_agent.core.participants import Participant
from process_agent.core.usage import Usage
from process_agent.core.visible import visible
from process_agent.viewer.approvals import waits_for
from process_agent.viewer.items import (
    InputState,
    ReasoningItem,
    ToolItem,
    ToolState,
    Turn,
    TurnState,
    UserItem,
)
from process_agent.viewer.terminal import diffs, render, tools
from process_agent.viewer.terminal.plain import count, duration, one_line, printable, quantity
from tests.fakes.viewer_room import START

DIFF = """diff --git a/src/a.py b/src/a.py
--- a/src/a.py
+++ b/src/a.py
@@ -1,2 +1,3 @@
 import os
-x = 1
+x = 2
+--- y
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1,1 @@
+hello
\\ No newline at end of file
diff --git a/old.txt b/old.txt
deleted file mode 100644
--- a/old.txt
+++ /dev/null
@@ -1,1 +0,0 @@
-bye
"""


def tool(name: str = "shell", **arguments: Json) -> ToolItem:
    return ToolItem(ToolRef(ItemId("t"), "codex", name, "codex"), arguments)


def command(lines: int = 0, exit_code: int = 0) -> ToolItem:
    item = tool(command="pytest -q", cwd="/work")
    item.log = [LogLine(f"line {n}\n") for n in range(lines)]
    item.state, item.result = ToolState.DONE, JsonResult({"stdout": "", "exit_code": exit_code})
    return item


def shown(*renderables: RenderableType, width: int = 80) -> str:
    return render.to_ansi(renderables, width, None)


# --- Plain text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain\nlines", "plain\nlines"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]52;c;aGk=\x1b\\y", "xy"),
        ("\x9b2Jx\x90y", "xy"),
        ("a\x1b(Bb\x1bMc", "abc"),
        ("10%\r50%\r100%\nok\r\n", "100%\nok\n"),
        ("a\x00b\x07c\x7fd", "abcd"),
        ("safe\u202eevil", "safeevil"),
        ("tab\tx ä 漢 👩‍💻", "tab    x ä 漢 👩‍💻"),
        ("cut \x1b[3", "cut "),
    ],
)
def test_texts_of_others_cannot_steer_the_terminal(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_a_name_in_a_notice_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in shown(render.notice("── \x1b]0;title\x07\x1b[2Jname ──"))


def test_what_has_to_be_approved_hides_nothing() -> None:
    assert visible("rm -rf ~\n\x1b[2K\u202e") == "rm -rf ~\\n\\e[2K\\u202e"
    item = tool(command="echo ok\x1b[8m; rm -rf /\x1b[0m" + " " * 200 + "; evil", cwd="/work")
    text = shown(*render.approval(item))
    assert "\\e[8m; rm -rf /" in text
    assert "; evil" in text


def asks(number: int, *approvers: str, questions: tuple[Question, ...] = ()) -> ApprovalRequested:
    return ApprovalRequested(tool().ref, {}, None, EVERY, questions, number, approvers)


def test_a_request_says_its_number_and_which_others_wait() -> None:
    item = tool(command="ls")
    item.request = asks(2)
    text = shown(*render.approval(item, [asks(3), asks(5)]))
    assert "May the agent do this?  request 2 (also waiting: 3, 5)" in text
    assert "y yes, once" in text


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        (ToolState.DONE, None, "Edited src/a.py +2 −1, Added new.txt +1, Deleted old.txt −1"),
        (ToolState.RUNNING, None, "Edit src/a.py +2 −1, Add new.txt +1, Delete old.txt −1"),
        (
            ToolState.FAILED,
            "declined",
            "Would have edited src/a.py +2 −1, added new.txt +1, deleted old.txt −1",
        ),
        (ToolState.FAILED, "cancelled", "Edit src/a.py +2 −1, Add new.txt +1, Delete old.txt −1  stopped"),
    ],
)
def test_changes_that_were_not_made_are_not_said_to_be_made(
    state: ToolState, error: str | None, said: str
) -> None:
    item = tool("apply_patch", patch=DIFF)
    item.state = state
    item.error = None if error is None else ErrorInfo("It was not done.", error)
    assert said in shown(*render.tool(item, 200)).replace("\n", " ")


@pytest.mark.parametrize("questions", [(), (Question("colour", "Which?", "", (Option("Red", ""),)),)])
def test_who_may_not_decide_is_told_whom_it_waits_for_and_no_keys(questions: tuple[Question, ...]) -> None:
    me = Participant(ParticipantId("1"), "user", {"name": "ana"})
    item = tool(command="ls")
    item.request = asks(1, "ben", "role:admin", questions=questions)
    others = waits_for(item.request, me)
    text = shown(*render.approval(item, (), others))
    assert "Waits for ben and participants with the role admin." in text
    assert "yes, once" not in text
    assert "Type" not in text
    for approvers in (("ana",), ("user",), ("ben", "user"), ()):
        assert waits_for(asks(1, *approvers), me) is None


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (tool(command="ls", permissions={"write": "/etc"}), '$ ls  with {"permissions": {"write": "/etc"}}'),
        (tool("apply_patch", patch=DIFF, grant_root="/"), 'with {"grant_root": "/"}'),
        (
            tool("drop_table", command="ls", table="users"),
            'codex.drop_table {"command": "ls", "table": "users"}',
        ),
        (tool("deploy", input="@@", target="prod"), 'codex.deploy {"input": "@@", "target": "prod"}'),
    ],
)
def test_an_argument_cannot_hide_what_else_is_approved(item: ToolItem, said: str) -> None:
    assert said in tools.question(item)


def test_short_forms() -> None:
    assert one_line("a\n  b\tc", 20) == "a b c"
    assert one_line("abcdef", 4) == "abc…"
    assert [duration(s) for s in (0.84, 9.96, 12.7, 185, 7620)] == [
        "0.8 s", "10.0 s", "12 s", "3 min 05 s", "2 h 07 min",
    ]  # fmt: skip
    assert [quantity(n) for n in (950, 1234, 34_000, 1_200_000)] == ["950", "1.2k", "34k", "1.2M"]
    assert [count(n, "line") for n in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]


# --- Diffs ------------------------------------------------------------------------------------------


def test_a_diff_is_taken_apart() -> None:
    edited, added, deleted = diffs.parse_diff(DIFF)
    assert (edited.verb, edited.path, edited.added, edited.removed) == ("Edited", "src/a.py", 2, 1)
    assert (added.verb, added.path, added.added) == ("Added", "new.txt", 1)
    assert (deleted.verb, deleted.path, deleted.removed) == ("Deleted", "old.txt", 1)
    assert ("note", "\\ No newline at end of file") in added.lines
    assert diffs.summary([edited, added]).plain == "Edited src/a.py +2 −1, Added new.txt +1"


def test_a_diff_without_git_lines_and_a_rename() -> None:
    (plain,) = diffs.parse_diff("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    assert (plain.path, plain.added, plain.removed) == ("x", 1, 1)
    renamed = "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n"
    (file,) = diffs.parse_diff(renamed)
    assert (file.verb, file.path) == ("Renamed", "y")
    assert diffs.parse_diff("no diff at all") == []


def test_a_long_diff_is_folded_with_a_note() -> None:
    item = tool("apply_patch", patch="--- a/x\n+++ b/x\n@@ -0,0 +1,500 @@\n" + "+line\n" * 500)
    item.state = ToolState.DONE
    text = shown(*render.tool(item, 80))
    assert text.count("+line") < 100
    assert "more lines; /output shows all" in text
    assert shown(*render.tool(item, 80, full=True)).count("+line") == 500


# --- Tools ------------------------------------------------------------------------------------------


def test_a_command_is_one_line_with_its_output_folded() -> None:
    text = shown(*render.tool(command(lines=12, exit_code=1), 80)).splitlines()
    assert text[0] == "● $ pytest -q  exit 1 · 12 lines"
    assert text[1].strip() == "│ … 8 lines above; /output shows all"
    assert text[-1].strip() == "│ line 11"
    assert len(text) == 6
    assert shown(*render.tool(command(), 80)) == "● $ pytest -q  no output\n"
    assert len(shown(*render.tool(command(lines=12), 80, full=True)).splitlines()) == 13


def test_nothing_is_wider_than_a_narrow_terminal() -> None:
    item = command(lines=3, exit_code=2)
    item.arguments = {"command": "x" * 500}
    item.log.append(LogLine("y" * 500))
    for width in (1, 10, 20, 40):
        lines = shown(*render.tool(item, width), width=width).splitlines()
        assert all(len(line) <= width for line in lines)
        assert len(lines) == 5


def test_how_tools_ended() -> None:
    item = tool(command="rm x")
    item.state, item.error = ToolState.FAILED, ErrorInfo("Declined: it was not run.", "declined")
    assert shown(*render.tool(item, 80)) == "● $ rm x  declined\n"
    item.decided = ApprovalDecided(item.ref, Decision.DECLINE, "ana")
    assert shown(*render.tool(item, 80)) == "● $ rm x  declined by ana\n"
    failed = tool("web_search", query="weather")
    failed.state, failed.error = ToolState.FAILED, ErrorInfo("no network", "failed")
    assert shown(*render.tool(failed, 80)) == "● web search weather  failed · 1 line\n  │ no network\n"


def test_other_tools_by_name_and_arguments() -> None:
    item = ToolItem(ToolRef(ItemId("t"), "github", "get_issue"), {"number": 7})
    item.state, item.result = ToolState.DONE, TextResult("An issue\nwith text")
    assert shown(*render.tool(item, 80)).splitlines()[0] == '● github.get issue {"number": 7}  2 lines'


def test_a_log_of_bare_lines_is_shown_as_lines() -> None:
    item = tool(command="ls")
    item.log = [LogLine("a"), LogLine("b")]
    assert tools.output_of(item) == "a\nb"
    item.log = [LogLine("a"), LogLine("b\n"), LogLine("c")]
    assert tools.output_of(item) == "ab\nc"


def test_a_plan_is_a_check_list() -> None:
    item = tool(
        "plan",
        plan=[
            {"step": "Read", "status": "completed"},
            {"step": "Write", "status": "inProgress"},
            {"step": "Check", "status": "pending"},
        ],
    )
    item.state, item.result = ToolState.DONE, TextResult("ignored")
    assert shown(*render.tool(item, 80)) == "● Plan\n  ☑ Read\n  ◐ Write\n  ☐ Check\n"


def test_a_notice_is_a_sentence() -> None:
    item = tool("retry", message="x")
    item.result = TextResult("The connection was lost; trying again.")
    assert shown(*render.tool(item, 80)) == "! The connection was lost; trying again.\n"


# --- Other items ------------------------------------------------------------------------------------


def test_what_people_say() -> None:
    mine = UserItem(MessageId("m"), (TextPart("do\nthis"),), "ana", state=InputState.TAKEN)
    assert shown(render.user(mine, "ana")) == "› do\n  this\n"
    assert shown(render.user(mine, "bob")) == "ana › do\n  this\n"
    mine.state, mine.error = InputState.REFUSED, ErrorInfo("too late", "turn_ended")
    assert "(not taken up: too late)" in shown(render.user(mine, "ana"))


def test_reasoning_is_cut_to_its_beginning() -> None:
    item = ReasoningItem(ItemId("r"))
    item.text.add("**Looking**\n\none\ntwo\nthree\nfour")
    assert shown(render.reasoning(item)) == "∴ Looking\n  one\n  two …\n"


@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        (EndReason.COMPLETED, None, "✓ 2.0 s · 1.5k in, 20 out · gpt-5.5\n"),
        (EndReason.INTERRUPTED, None, "■ stopped 2.0 s · 1.5k in, 20 out · gpt-5.5\n"),
        (EndReason.FAILED, ErrorInfo("boom", "x"), "✗ failed: boom 2.0 s · 1.5k in, 20 out · gpt-5.5\n"),
        (
            EndReason.LOST,
            ErrorInfo("agent gone", "x"),
            "✗ lost: agent gone 2.0 s · 1.5k in, 20 out · gpt-5.5\n",
        ),
    ],
)
def test_the_end_of_a_turn(end: EndReason, error: ErrorInfo | None, text: str) -> None:
    turn = Turn(TurnId("U"), TurnState.ENDED, started_at=START, ended_at=START.replace(second=2))
    turn.end, turn.error, turn.usage, turn.model = end, error, Usage(1500, 0, 20), "gpt-5.5"
    assert shown(render.footer(turn)) == text


def test_a_refused_turn_says_why() -> None:
    turn = Turn(TurnId("U"), TurnState.REFUSED, error=ErrorInfo("no such model", "unknown_model"))
    assert shown(render.footer(turn)) == "✗ refused: no such model\n"


def test_markdown_without_boxes_and_escapes() -> None:
    text = shown(render.markdown("# Title\n\n- a\x1b[31m\n- [x](https://e.org)\n\n```sh\nls\n```"))
    assert "\x1b" not in text
    assert text.startswith("Title\n")
    assert "https://e.org" in text
    assert " ls" in text


def test_a_question_is_one_line_with_its_answer() -> None:
    item = ToolItem(ToolRef(ItemId("q"), "codex", "request_user_input"), {"questions": []})
    item.request = ApprovalRequested(item.ref, {}, questions=(Question("c", "Which colour?"),))
    item.state, item.result = ToolState.DONE, TextResult("Colour: Blue")
    assert shown(*render.tool(item, 80)) == "● asked: Which colour?  1 line\n  │ Colour: Blue\n"

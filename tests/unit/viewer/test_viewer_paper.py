"""Documents of a thread: diffs, plans, outputs, and lines that come as it goes on."""

from __future__ import annotations

from process_agent.core import events as e
from process_agent.core.content import JsonResult, LogLine
from process_agent.core.ids import ItemId
from process_agent.viewer.paper.html import page
from process_agent.viewer.paper.markdown import markdown
from process_agent.viewer.paper.parts import LEFT_OUT, Paper
from process_agent.viewer.paper.running import RunningPaper
from process_agent.viewer.transcript import Transcript
from tests.fakes.thread_events import START, Speaker

PATCH = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = '<b>'\n+x = 2\n"


def events() -> list[e.ThreadEvent]:
    speaker = Speaker()
    edit = e.ToolRef(ItemId("edit"), "codex", "apply_patch", "codex")
    whole = e.ToolRef(ItemId("diff"), "codex", "diff_updated", "codex")
    shell = e.ToolRef(ItemId("shell"), "codex", "shell", "codex")
    plan = e.ToolRef(ItemId("plan"), "codex", "plan", "codex")
    return [
        *speaker.begin("change it"),
        speaker.say(e.ReasoningDelta(ItemId("r"), "Thinking.")),
        speaker.say(e.ReasoningEnded(ItemId("r"))),
        speaker.say(e.ToolStarted(edit, {"patch": PATCH})),
        speaker.say(e.ToolEnded(edit)),
        speaker.say(e.ToolStarted(shell, {"command": "pytest"})),
        speaker.say(e.ToolLog(shell, (LogLine("1 <failed>\n"),))),
        speaker.say(e.ToolEnded(shell, JsonResult({"stdout": "1 <failed>\n", "exit_code": 1}))),
        speaker.say(e.ToolStarted(plan, {"plan": [{"status": "completed", "step": "Do it"}]})),
        speaker.say(e.ToolEnded(plan)),
        speaker.say(e.ToolStarted(whole, {"diff": PATCH})),
        speaker.say(e.ToolEnded(whole)),
        *speaker.text("# Done\n```py\nx"),
        speaker.end(),
    ]


def paper(*, cut: bool = False) -> Paper:
    transcript = Transcript()
    for event in events():
        transcript.apply(event)
    return Paper(Speaker().thread_id, "A *name*", START, START, transcript, cut=cut)


def test_markdown() -> None:
    text = "".join(markdown(paper()))
    assert text.startswith("# A \\*name\\*\n")
    assert text.count("```diff\n@@ -1 +1 @@\n-x = '<b>'\n+x = 2\n```") == 1, "a turn's diff is not repeated"
    assert "**Tool** `$ pytest` — exit 1 · 1 line\n\n```text\n1 <failed>\n```" in text
    assert "- [x] Do it\n\n" in text
    assert "### Done\n```py\nx\n```\n\n*done" in text, "the agent's fence is closed, its heading below ours"
    assert LEFT_OUT not in text
    assert LEFT_OUT in "".join(markdown(paper(cut=True)))


def test_html() -> None:
    html = "".join(page(paper()))
    assert html.count('<span class="removed">-x = &#x27;&lt;b&gt;&#x27;\n</span>') == 1
    assert '<div class="tool bad">' in html
    assert "1 &lt;failed&gt;" in html
    assert "default-src 'none'" in html
    assert "<li>☑ Do it</li>" in html


def test_lines_come_as_it_goes_on() -> None:
    running = RunningPaper()
    lines = [line for event in events() for line in running.lines(event)]
    assert lines[0] == "Ana › change it"
    assert "∴ Thinking." in lines
    assert "• $ pytest  (exit 1 · 1 line)" in lines
    assert lines[lines.index("# Done") :][:3] == ["# Done", "```py", "x"]
    assert lines[-2].startswith("— done")
    again = [line for event in events()[:3] for line in running.lines(event)]
    assert again == [], "what was told is not told again"

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from process_agent.scripted.actions import Say, ToolCall
from process_agent.scripted.tools import MAX_POLLS
from tests.fakes.scripted_client import (
    EXEC_COMMAND,
    ScriptedClient,
    called,
    exec_output,
    message,
    said,
    still_running,
    thought,
)


def arguments(call: ToolCall) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(call.arguments)
    return decoded


def commands(calls: list[ToolCall]) -> list[str]:
    return [arguments(call)["cmd"] for call in calls if call.name == "exec_command"]


@pytest.mark.parametrize("prompt", ["hello", "Hi!", "help", "Who are you?", "what can you do", "", "  \n"])
def test_it_says_what_it_is_and_what_can_be_tried(prompt: str) -> None:
    text = said(ScriptedClient().turn(prompt))
    assert "scripted model" in text
    assert "ls -la" in text


def test_a_prompt_without_a_script_is_quoted_and_labelled() -> None:
    text = said(ScriptedClient().turn("Is there life on Mars?\nReally?"))
    assert text.startswith("> Is there life on Mars?\n")
    assert "scripted model" in text


@pytest.mark.parametrize(
    "text", ["7 7 7 and ha ha ha", "run `ls`", " two  spaces ", "line\nline\n", '"q"', "é🙂"]
)
def test_say_is_exact(text: str) -> None:
    assert said(ScriptedClient().turn(f"say {text}")) == text


@pytest.mark.parametrize(
    ("prompt", "command"),
    [
        ("run `ls -la`", "ls -la"),
        ("Please run the command echo hi", "echo hi"),
        ("Could you execute: pwd", "pwd"),
        ("execute 'echo \"a b\"'", 'echo "a b"'),
        ("$ uname -a", "uname -a"),
        ("hey, run `sleep 1 && echo outside`", "sleep 1 && echo outside"),
        ("list the files", "ls -la"),
        ("What's in this folder?", "ls -la"),
        ("cat src/main.py", "cat src/main.py"),
        ("show me the README", "cat README"),
    ],
)
def test_commands_run_and_their_output_is_quoted(prompt: str, command: str) -> None:
    actions = ScriptedClient(tool=lambda call: exec_output("```\nspecial\n")).turn(prompt)
    assert commands(called(actions)) == [command]
    assert "sandbox_permissions" not in arguments(called(actions)[0])
    assert f"`{command}`" in said(actions)
    assert "````text\n```\nspecial\n````" in said(actions)


def test_a_failed_command_is_not_called_a_success() -> None:
    actions = ScriptedClient(tool=lambda call: exec_output("bad\n", 3)).turn("run `false`")
    assert "exit code **3**" in said(actions)


def test_a_declined_command_is_reported_as_such() -> None:
    actions = ScriptedClient(tool=lambda call: "rejected by user").turn("run `id` outside the sandbox")
    assert "did not allow" in said(actions)


@pytest.mark.parametrize(
    ("prompt", "command"),
    [
        ("run `touch /x` outside the sandbox", "touch /x"),
        ("run touch /x (with my approval)", "touch /x"),
        ("escalate: touch /x", "touch /x"),
        ("ask for approval", "id -un && pwd"),
        ("outside", "id -un && pwd"),
    ],
)
def test_escalation_asks_with_a_reason(prompt: str, command: str) -> None:
    (call,) = called(ScriptedClient().turn(prompt))
    asked = arguments(call)
    assert asked["cmd"] == command
    assert asked["sandbox_permissions"] == "require_escalated"
    assert "scripted model" in asked["justification"]


def test_a_command_that_goes_on_is_waited_for() -> None:
    answers = iter([still_running("a", 7), still_running("b", 7), exec_output("c\n")])
    actions = ScriptedClient(tool=lambda call: next(answers)).turn("run `sleep 99`")
    assert [call.name for call in called(actions)] == ["exec_command", "write_stdin", "write_stdin"]
    assert arguments(called(actions)[1])["session_id"] == 7
    assert "abc" in said(actions)


def test_a_command_that_never_ends_is_given_up() -> None:
    actions = ScriptedClient(tool=lambda call: still_running("", 7)).turn("run `yes`")
    assert len(called(actions)) == MAX_POLLS + 1
    assert "did not report an end" in said(actions)


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "name": "shell"}, {"command": ["bash", "-lc", "ls"]}),
        ({"type": "function", "name": "shell_command"}, {"command": "ls"}),
    ],
)
def test_other_shells(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    json_output = '{"output": "file\\n", "metadata": {"exit_code": 0}}'
    actions = ScriptedClient(tool=lambda call: json_output, tools=[tool]).turn("run `ls`")
    assert arguments(called(actions)[0]) == expected
    assert "file" in said(actions)


def test_the_hosted_local_shell() -> None:
    actions = ScriptedClient(tools=[{"type": "local_shell"}]).ask(message("user", "run `ls`"))
    assert called(actions) == [ToolCall("local_shell", "local_shell", '["bash","-lc","ls"]')]


def test_without_a_shell_it_says_so() -> None:
    actions = ScriptedClient(tools=[]).turn("run `ls`")
    assert called(actions) == []
    assert "No tool that runs commands" in str(actions)


def test_create_and_run() -> None:
    client = ScriptedClient(
        tool=lambda call: exec_output("Success. Updated\n" if call.kind == "custom" else "yo\n")
    )
    actions = client.turn("Please create a file called src/yo.py that prints yo and run it")
    patch, run = called(actions)
    assert (patch.kind, patch.name) == ("custom", "apply_patch")
    assert patch.arguments.startswith("*** Begin Patch\n*** Add File: src/yo.py\n+def main() -> None:\n")
    assert '+    print("yo")\n' in patch.arguments
    assert commands([run]) == ["python3 src/yo.py"]
    assert thought(actions)
    assert "created `src/yo.py`" in said(actions)


@pytest.mark.parametrize(
    ("prompt", "content"),
    [
        ("create notes.txt with buy milk", "+buy milk\n"),
        ('write a file notes.txt with the text "buy milk"', "+buy milk\n"),
        ("create notes.txt:\n```\nbuy\n\nmilk\n```\n", "+buy\n+\n+milk\n"),
        ("make notes.txt saying buy milk", "+buy milk\n"),
        ("create notes.txt", "+Hello from the scripted model!\n"),
    ],
)
def test_wanted_content(prompt: str, content: str) -> None:
    (patch,) = called(ScriptedClient().turn(prompt))
    assert patch.arguments == f"*** Begin Patch\n*** Add File: notes.txt\n{content}*** End Patch\n"


def test_without_apply_patch_a_command_writes_the_file() -> None:
    client = ScriptedClient(tools=[EXEC_COMMAND])
    actions = client.turn("create a/END_OF_FILE.txt with END_OF_FILE")
    (command,) = commands(called(actions))
    assert command == "mkdir -p -- a && cat > a/END_OF_FILE.txt <<'END_OF_FILE_'\nEND_OF_FILE\nEND_OF_FILE_"
    assert "created" in said(actions)


def test_replace_reads_first_and_then_patches() -> None:
    def tool(call: ToolCall) -> str:
        return exec_output("one\ntwo\nthree\n" if call.kind == "function" else "Success.\n")

    actions = ScriptedClient(tool=tool).turn("replace `two` with 'zwei drei' in list.txt")
    read, patch = called(actions)
    assert commands([read]) == ["cat list.txt"]
    assert "@@\n one\n-two\n+zwei drei\n three\n*** End of File\n" in patch.arguments
    assert "changed `list.txt`" in said(actions)


def test_append_keeps_what_is_there() -> None:
    def tool(call: ToolCall) -> str:
        return exec_output("one" if call.kind == "function" else "Success.\n")

    _, patch = called(ScriptedClient(tool=tool).turn("append 'and two' to list.txt"))
    assert "@@\n one\n+and two\n*** End of File\n" in patch.arguments


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (exec_output("cat: no such file\n", 1), "exit code **1**"),
        (exec_output("a\n…300 tokens truncated…\nz\n"), "too long"),
        (exec_output("nothing of the kind\n"), "does not hold"),
    ],
)
def test_what_cannot_be_changed_is_left_alone(output: str, why: str) -> None:
    actions = ScriptedClient(tool=lambda call: output).turn("replace a1 with b1 in list.txt")
    assert len(called(actions)) == 1
    assert why in said(actions)
    assert "changed nothing" in said(actions)


def test_a_refused_patch_is_not_called_a_success() -> None:
    actions = ScriptedClient(tool=lambda call: "patch rejected by user").turn("create /etc/x.txt")
    assert "was not created" in said(actions)
    assert "rejected by user" in said(actions)


def test_delete() -> None:
    (patch,) = called(ScriptedClient().turn("delete the file old.txt"))
    assert patch.arguments == "*** Begin Patch\n*** Delete File: old.txt\n*** End Patch\n"


def test_plan() -> None:
    actions = ScriptedClient().turn("make a plan to tidy this folder.")
    plans = [arguments(call)["plan"] for call in called(actions) if call.name == "update_plan"]
    assert [step["step"] for step in plans[0]] == [
        "Look at what is there",
        "Tidy this folder",
        "Check the result",
    ]
    assert [step["status"] for step in plans[-1]] == ["completed", "in_progress", "pending"]
    assert "2. Tidy this folder" in said(actions)


def test_a_plan_without_the_tool_is_still_told() -> None:
    assert "1. Look" in said(ScriptedClient(tools=[EXEC_COMMAND]).turn("make a plan"))


@pytest.mark.parametrize("prompt", ["fix the demo", "Please fix the test", "demo", "show me a demo"])
def test_the_demo_shows_everything(prompt: str) -> None:
    runs = iter([exec_output("AssertionError: wrong\n", 1), exec_output("3 checks passed\n")])

    def tool(call: ToolCall) -> str:
        return next(runs) if call.name == "exec_command" else exec_output("Success.\n")

    actions = ScriptedClient(tool=tool).turn(prompt)
    names = [call.name for call in called(actions)]
    assert names.count("apply_patch") == 3
    assert names.count("exec_command") == 2
    assert names.count("update_plan") == 5
    assert len(thought(actions)) == 2
    assert "```python" in said(actions)
    assert "`3 checks passed`" in said(actions)
    phases = [action.phase for action in actions if isinstance(action, Say)]
    assert phases == ["commentary", "commentary", "final_answer"]


def test_the_demo_does_not_claim_what_did_not_happen() -> None:
    actions = ScriptedClient(tool=lambda call: exec_output("python3: not found\n", 127)).turn("fix the demo")
    assert "not fixed" in said(actions)


def test_counting_streams_one_delta_each() -> None:
    (action,) = ScriptedClient().turn("count to 12")
    assert isinstance(action, Say)
    assert action.pieces is not None
    assert len(action.pieces) == 12
    assert action.text == "".join(action.pieces) == "1 2 3 4 5 6 7 8 9 10 11 12"


@pytest.mark.parametrize(
    ("prompt", "total_ms"),
    [("wait 2 seconds", 2000), ("wait for 1.5s", 1500), ("wait 300 ms", 300), ("wait 1 minute", 60_000)],
)
def test_waiting_streams_slowly(prompt: str, total_ms: float) -> None:
    (action,) = ScriptedClient().turn(prompt)
    assert isinstance(action, Say)
    assert action.pieces is not None
    assert (len(action.pieces) - 1) * action.every_ms == pytest.approx(total_ms)


def test_history() -> None:
    client = ScriptedClient()
    client.history.append(message("user", "My cat is called Ada."))
    client.history.append(message("assistant", "Noted."))
    client.history.append(message("user", "<turn_aborted>\nstopped\n</turn_aborted>"))
    client.turn("say hello")
    assert said(client.turn("what did I say first?")) == "The first thing you said was: My cat is called Ada."
    assert "The last thing you said was: what did I say first?" in said(client.turn("What did I say last"))
    assert "1. My cat is called Ada." in said(client.turn("what did I say?"))
    assert said(ScriptedClient().turn("what did I say first")) == "You have said nothing before this."


def test_what_codex_adds_is_not_taken_for_a_prompt() -> None:
    actions = ScriptedClient().ask(
        message("user", "# AGENTS.md instructions for /workspace\n\nsay no"),
        message("user", "<image name=[Image #1]>", "</image>", "say yes"),
        message("user", "<user_shell_command>\nls\n</user_shell_command>"),
    )
    assert said(actions) == "yes"


def test_a_steer_replaces_what_ran() -> None:
    client = ScriptedClient()
    client.history.append(message("user", "run `sleep 9`"))
    client._play(called(client.ask()))
    assert said(client.ask(message("user", "say stop that"))) == "stop that"


# --- Script blocks -----------------------------------------------------------------------------

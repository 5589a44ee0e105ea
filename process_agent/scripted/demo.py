"""The full demonstration, and plans."""

from __future__ import annotations

from process_agent.scripted.actions import Say, Script, Think
from process_agent.scripted.markdown import code, command_report, fenced
from process_agent.scripted.tools import StepStatus, Tools

PROGRAM = "demo/prices.py"
CHECK = "demo/check_prices.py"
RUN_CHECK = f"python3 {CHECK}"

_BROKEN = '''\
"""Prices of a little shop."""


def total(prices: list[float], discount: float = 0.0) -> float:
    """Sum of all prices, less a discount between 0 and 1."""
    return sum(prices) * discount
'''
_FIXED = _BROKEN.replace("* discount", "* (1 - discount)")

_CHECK = """\
from prices import total

cases = [([2.0, 3.0], 0.0, 5.0), ([10.0], 0.5, 5.0), ([], 0.25, 0.0)]
for prices, discount, expected in cases:
    result = total(prices, discount)
    assert result == expected, f"total({prices}, {discount}) is {result}, not {expected}"
print(f"{len(cases)} checks passed")
"""

_STEPS = ("Write a small program and its check", "Run the check", "Fix what it finds", "Run the check again")
_EXPLANATION = "A demonstration by the scripted model"


def demo(tools: Tools) -> Script:
    """Thoughts, a plan, files, a check that fails, a fix as a diff, the check again, an answer."""
    yield Think(
        "**Planning the demonstration**\n\nI write a small program with a mistake and a check that finds it, "
        "run the check, fix the mistake and run it again."
    )
    yield Say(
        "This is the **scripted model** showing what a turn looks like. "
        "I start with a program and its check.",
        "commentary",
    )
    yield from tools.plan(_EXPLANATION, _progress(0))
    yield from tools.write(PROGRAM, _BROKEN)
    yield from tools.write(CHECK, _CHECK)
    yield from tools.plan(_EXPLANATION, _progress(1))
    before = yield from tools.run(RUN_CHECK)
    yield Think("**Reading the result**\n\nThe discount is multiplied instead of taken off.")
    yield Say("The check finds a mistake: the discount is not taken off. I fix that line.", "commentary")
    yield from tools.plan(_EXPLANATION, _progress(2))
    yield from tools.change(PROGRAM, _BROKEN, _FIXED)
    yield from tools.plan(_EXPLANATION, _progress(3))
    after = yield from tools.run(RUN_CHECK)
    yield from tools.plan(_EXPLANATION, _progress(len(_STEPS)))
    lines = after.output.strip().splitlines()
    outcome = "**The check passes now.**" if after.ok else "**The check still does not pass.**"
    yield Say(
        f"## The demo is {'fixed' if after.ok else 'not fixed'}\n\n{outcome} "
        f"In {code(PROGRAM)} the discount is now taken off:\n\n"
        f"{fenced('return sum(prices) * (1 - discount)', 'python')}\n\n"
        f"| | exit code | last line |\n|---|---|---|\n"
        f"| before | {before.exit_code} | {_cell(before.output)} |\n"
        f"| after | {after.exit_code} | {_cell(lines[-1] if lines else '')} |\n\n"
        "The files, the commands and their results are real; only the words came from the scripted model.",
        "final_answer",
    )


def make_plan(tools: Tools, goal: str) -> Script:
    """Show a plan, work through it in words, and say what it was."""
    goal = goal.strip().rstrip(".!?") or "look around in this folder"
    steps = ("Look at what is there", goal[:1].upper() + goal[1:], "Check the result")
    yield from tools.plan(f"A plan to {goal}", [(step, "pending") for step in steps])
    yield from tools.plan(
        f"A plan to {goal}", [(steps[0], "in_progress"), (steps[1], "pending"), (steps[2], "pending")]
    )
    listing = yield from tools.run("ls")
    yield from tools.plan(
        f"A plan to {goal}", [(steps[0], "completed"), (steps[1], "in_progress"), (steps[2], "pending")]
    )
    numbered = "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1))
    yield Say(
        f"A plan by the **scripted model**:\n\n{numbered}\n\n"
        f"I did the first step. {command_report('ls', listing)}"
        "\n\nThe second needs a model that thinks.",
        "final_answer",
    )


def _progress(at: int) -> list[tuple[str, StepStatus]]:
    def status(n: int) -> StepStatus:
        return "completed" if n < at else "in_progress" if n == at else "pending"

    return [(step, status(n)) for n, step in enumerate(_STEPS)]


def _cell(text: str) -> str:
    lines = text.strip().splitlines()
    return code(lines[-1].replace("|", "/")) if lines else ""

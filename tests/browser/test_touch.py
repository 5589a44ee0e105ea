"""Studio under a finger: nothing that is pressed is too small."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.core.content import JsonResult
from process_agent.core.events import ToolEnded, ToolRef, ToolStarted
from process_agent.core.ids import ItemId
from tests.browser.driver import Studio, ended, say
from tests.contract.agent_room import agent_in
from tests.fakes.backend import FakeBackend

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = """() => [...document.querySelectorAll("button, summary, textarea, [role^=menuitem], .thread-link")]
    .map((el) => [el, el.getBoundingClientRect()])
    .filter(([el, box]) => box.width > 0 && box.height > 0 && (box.width < 40 || box.height < 40))
    .map(([el, box]) => `${el.className || el.tagName} ${Math.round(box.width)}x${Math.round(box.height)}`)"""
"""What can be pressed and has fewer than 40 px somewhere."""

PATCH = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


async def test_whatever_is_pressed_is_as_large_as_a_finger(studio: Studio, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter(phone=True, touch=True)
        assert await page.evaluate(SMALL) == []
        await say(page, "Run the tests please")
        turn = await backend.turn(0)
        run = ToolRef(ItemId("t1"), "codex", "shell", "codex")
        edit = ToolRef(ItemId("t2"), "codex", "apply_patch", "codex")
        turn.say(ToolStarted(run, {"command": "pytest -q"}))
        turn.say(ToolEnded(run, JsonResult({"stdout": "ok\n", "exit_code": 0})))
        turn.say(ToolStarted(edit, {"patch": PATCH}), ToolEnded(edit))
        turn.answer("Done:\n\n```py\nprint(1)\n```")
        await ended(page)
        for head in await page.locator(".step-head").all():
            await head.tap()
        assert await page.evaluate(SMALL) == []
        await studio.picture(page, "touch")
        await page.get_by_role("button", name="Model: gpt-5.5").tap()
        assert await page.evaluate(SMALL) == []
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Threads and participants").tap()
        await page.get_by_role("button", name="More about Run the tests please").tap()
        assert await page.evaluate(SMALL) == []
        await studio.picture(page, "touch-menu")
    assert studio.complaints == []

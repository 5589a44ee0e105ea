"""From the printed link to the diff: the real programs, the real Codex, the scripted model, Chromium."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.driver import Visitor, conversation, ended, say, turns
from tests.fakes.program import Loaded

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, ViewportSize

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

PICTURE: ViewportSize = {"width": 1280, "height": 1000}
JOIN = "join --room gettingstarted --agent-name codex-agent --channel chat --backend codex"


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, screenshots: Path) -> AsyncIterator[Visitor]:
    made = Visitor(browser, screenshots)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[str]:
    """`process join` in a folder of its own; gives the link it printed."""
    work = folder / "work"
    work.mkdir()
    program = Loaded(folder / "home", PROCESS_DATA_DIR=str(folder / "data"), LOGNAME="ana")
    running = program.running(f"{JOIN} --provider scripted --working-dir {work}")
    _, said = await asyncio.to_thread(running.__enter__)
    try:
        facts = dict(line.split(None, 1) for line in said.splitlines() if " " in line.strip())
        yield facts["link"].strip()
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
        await asyncio.to_thread(program.stop_room)


async def test_from_the_link_to_the_diff(visitor: Visitor, tmp_path: Path) -> None:
    async with joined(tmp_path) as link:
        page = await visitor.page(await visitor.context())
        await page.goto(link)
        await expect(page.get_by_role("heading", name="gettingstarted", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Model: scripted model")).to_be_visible()
        people = page.get_by_role("region", name="Participants").get_by_role("listitem")
        await expect(people.first).to_have_text("codex-agentagent")

        await say(page, "show me a demo")
        await expect(page.get_by_role("button", name="Stop")).to_be_visible()
        await ended(page)
        talk = conversation(page)
        await expect(talk.get_by_role("heading", name="The demo is fixed")).to_be_visible()
        plan = talk.get_by_role("region", name="Plan")
        await expect(plan.locator("[data-status=completed]")).to_have_count(4)
        fold = talk.get_by_role("button", name=re.compile("^[0-9]+ steps$"))
        for button in await fold.all():
            if await button.get_attribute("aria-expanded") == "false":
                await button.click()
        failed = talk.get_by_role("button", name=re.compile("check_prices.py.*exit 1"))
        await failed.click()
        await expect(talk.get_by_role("region", name="Output")).to_contain_text("AssertionError")
        await failed.click()
        changes = talk.get_by_role("region", name="Changes", exact=True)
        await expect(changes).to_contain_text("demo/prices.py")
        await expect(changes.locator("tr.add").first).to_be_attached()
        assert (tmp_path / "work" / "demo" / "prices.py").read_text().endswith("(1 - discount)\n")
        await expect(page.get_by_role("button", name=re.compile("of context used"))).to_be_visible()
        said = await talk.locator(".prose").all_inner_texts()
        await pictures(visitor, page)

        await page.reload()
        await ended(page)
        await expect(talk.get_by_role("heading", name="The demo is fixed")).to_be_attached()
        await expect(changes).to_contain_text("demo/prices.py")
        assert await talk.locator(".prose").all_inner_texts() == said, "what is stored is what was streamed"
        second = await visitor.page(page.context)
        await second.goto(page.url)
        await ended(second)
        await say(second, "say hello from the second tab")
        await ended(page, 2)
        await expect(turns(page).last).to_contain_text("hello from the second tab")

        await second.goto(f"{page.url.split('?')[0]}?thread=dataset://agents/codex-agent/threads/none")
        await expect(second.locator(".toast")).to_contain_text("no")
        await expect(second.get_by_role("heading", name="How can I help you?")).to_be_visible()
        assert "thread" not in second.url
        assert visitor.complaints == []


async def test_stop_steer_and_approve(visitor: Visitor, tmp_path: Path) -> None:
    async with joined(tmp_path) as link:
        page = await visitor.page(await visitor.context())
        await page.goto(link)
        await say(page, '```script\n[{"say": "tick ", "times": 2000, "every_ms": 20}]\n```')
        await expect(turns(page).last).to_contain_text("tick tick tick")
        await page.get_by_role("button", name="Stop").click()
        await ended(page)
        await expect(turns(page).last).to_contain_text("Stopped")

        await say(page, '```script\n[{"run": "sleep 2"}, {"say": "rested"}]\n```')
        await expect(page.locator(".status-line")).to_contain_text("Running sleep 2")
        await say(page, "say something else too")
        await ended(page, 2)
        await expect(turns(page).last.locator(".bubble-label")).to_have_text("while it worked")

        outside = tmp_path / "outside.txt"
        script = f'[{{"run": "touch {outside}", "escalate": "to show an approval"}}, {{"say": "done"}}]'
        await say(page, f"```script\n{script}\n```")
        card = page.get_by_role("group", name="codex-agent asks to run a command")
        await expect(card).to_contain_text(str(outside))
        assert not outside.exists()
        await card.get_by_role("button", name="Approve", exact=True).click()
        await ended(page, 3)
        await expect(turns(page).last).to_contain_text("Approved by")
        assert outside.exists()
        assert visitor.complaints == []


async def pictures(visitor: Visitor, page: Page) -> None:
    """The pictures of the documentation."""
    await page.set_viewport_size(PICTURE)
    edited = conversation(page).get_by_role("button", name=re.compile("Edited demo.prices.py"))
    await edited.click()
    await page.mouse.move(0, 0)
    await page.get_by_role("textbox", name="Message").focus()
    await conversation(page).evaluate("el => { el.scrollTop = 0 }")
    await visitor.picture(page, "studio")
    await page.emulate_media(color_scheme="dark")
    await visitor.picture(page, "studio-dark")
    await edited.click()

"""What a person does with the page, in a few words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page

    from tests.fakes.room import LocalRoom

ROOM = "demo"
PERSON = "ana"
SIZE = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
WAIT_MS = 10_000


class Visitor:
    """Browsers in front of a room. What the pages complain about is kept in `complaints`."""

    def __init__(self, browser: Browser, pictures: Path) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._pictures = pictures
        self._contexts: list[BrowserContext] = []

    async def context(
        self, *, dark: bool = False, phone: bool = False, touch: bool = False
    ) -> BrowserContext:
        """A browser profile of its own; with `touch` there are fingers and no mouse."""
        size: Any = PHONE if phone else SIZE
        context = await self._browser.new_context(
            viewport=size,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            locale="en-GB",
            has_touch=touch,
            is_mobile=touch,
        )
        context.set_default_timeout(WAIT_MS)
        self._contexts.append(context)
        return context

    async def page(self, context: BrowserContext) -> Page:
        """An empty tab whose errors are kept."""
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("console", self._console)
        return page

    async def picture(self, page: Page, name: str) -> None:
        """Save what the page shows."""
        await page.screenshot(path=self._pictures / f"{name}.png", animations="disabled", caret="hide")

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console {message.type}: {message.text}")


class Studio(Visitor):
    """A room of the test, and browsers in front of it."""

    def __init__(self, room: LocalRoom, browser: Browser, pictures: Path) -> None:
        super().__init__(browser, pictures)
        self.room = room

    async def link(self, name: str = PERSON) -> str:
        """A link like the one `process room link` prints."""
        async with httpx.AsyncClient(base_url=self.room.url, trust_env=False) as client:
            answer = await client.post(
                "/codes",
                json={"room": ROOM, "name": name},
                headers={"Authorization": f"Bearer {self.room.admin_token()}"},
            )
        return f"{self.room.url}/#code={answer.raise_for_status().json()['code']}"

    async def enter(self, name: str = PERSON, **look: bool) -> Page:
        """Follow a fresh link and wait until the page is in the room."""
        page = await self.page(await self.context(**look))
        await page.goto(await self.link(name))
        await page.get_by_label("Connected").first.wait_for(state="attached")
        return page


async def say(page: Page, text: str) -> None:
    """Type a message and press Enter."""
    box = page.get_by_role("textbox", name="Message")
    await box.fill(text)
    await (
        page.get_by_role("button", name=re.compile("^(Send|Queue)")).and_(page.locator(":enabled")).wait_for()
    )
    await box.press("Enter")


def conversation(page: Page) -> Locator:
    return page.get_by_role("region", name="Conversation")


def turns(page: Page) -> Locator:
    return conversation(page).get_by_role("article")


async def ended(page: Page, count: int = 1) -> None:
    """Wait until this many turns are over."""
    await page.wait_for_function(
        "count => document.querySelectorAll('.turn[data-state=ended]').length >= count", arg=count
    )

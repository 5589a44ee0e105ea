"""A thread longer than what is loaded at once: its earlier turns, page by page, from the real agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

from process_agent.core.ids import ThreadId
from process_agent.rooms.join import JoinTarget, join_room
from process_agent.threads.store import DatasetThreadStore
from tests.browser.driver import ROOM, Studio, conversation, ended, say, turns
from tests.contract.agent_room import AGENT, agent_in
from tests.fakes.backend import FakeBackend
from tests.fakes.thread_events import Speaker, TestClock

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def long_thread(studio: Studio, turns: int) -> AsyncIterator[ThreadId]:
    """A thread of so many turns, stored by an agent that is gone."""
    clock = TestClock()
    clock.now = datetime.now(UTC) - timedelta(hours=1)
    target = JoinTarget(ROOM, studio.room.url, studio.room.token(AGENT, "agent"))
    async with join_room(target) as room:
        store = DatasetThreadStore(room.datasets, AGENT, clock=clock, new_id=lambda: "long")
        await store.start()
        entry = await store.create("A long thread")
        log, speaker = await store.open(entry.path), Speaker(entry.path, clock)
        for number in range(turns):
            turn = f"u{number}"
            events = [
                *speaker.begin(f"question {number}", turn),
                *speaker.text(f"answer {number}", turn=turn),
            ]
            for event in (*events, speaker.end(turn)):
                log.append(event)
        await store.close()
    yield entry.path


async def test_earlier_turns_come_page_by_page(studio: Studio, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with long_thread(studio, 230), agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter()
        await page.get_by_role("navigation", name="Threads").get_by_role("link", name="A long thread").click()
        earlier = page.get_by_role("button", name="Show earlier turns")
        await expect(conversation(page).get_by_text("answer 229")).to_be_visible()
        await expect(turns(page)).to_have_count(40)
        for shown in (80, 100):
            await earlier.click()
            await expect(turns(page)).to_have_count(shown)
        await expect(turns(page).first).to_contain_text("question 130")
        # All that came is shown; the next ones are asked of the agent. Meanwhile the thread goes on.
        await say(page, "and now?")
        turn = await backend.turn(0)
        await earlier.click()
        await expect(turns(page)).to_have_count(141)
        await expect(turns(page).first).to_contain_text("question 90")
        await studio.picture(page, "older")
        turn.answer("still here")
        await ended(page, 141)
        for shown in (181, 201, 231):
            await earlier.click()
            await expect(turns(page)).to_have_count(shown)
        await expect(earlier).to_be_hidden()
        await expect(turns(page).first).to_contain_text("question 0")
        await expect(turns(page).last).to_contain_text("still here")
        texts = await turns(page).all_inner_texts()
        numbers = [int(text.split("question ")[1].split()[0]) for text in texts[:-1]]
        assert numbers == list(range(230))
        assert studio.complaints == []

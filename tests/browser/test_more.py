"""Images, compaction, clearing, cost, secrets, arguments, long lists and late answers in the page."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from process_agent.metering.records import to_table
from process_agent.threads.images import IMAGES
from tests.browser.driver import Studio, conversation, ended, say, turns
from tests.fakes.chat_agent import ChatAgent, chat_agent
from tests.fakes.chat_scripts import PNG
from tests.unit.metering.test_metering_report import KNOWN, UNPRICED, UNTOLD

pytestmark = pytest.mark.asyncio(loop_scope="session")


def kept(image_id: str, url: str) -> dict[str, Any]:
    """A row of the room's table of images."""
    data = b64decode(url.partition(",")[2])
    return {
        "id": image_id,
        "data": data,
        "mime_type": "image/png",
        "created_at": "2026-01-01T10:00:00Z",
        "created_by": "bot",
        "annotations": [],
    }


async def test_images_are_shown_and_nothing_is_fetched_from_elsewhere(studio: Studio) -> None:
    async with chat_agent(studio.room):
        async with studio.room.client("uploader", role="agent") as client:
            await client.storage.upload(path="images/a cat.png", data=b64decode(PNG.partition(",")[2]))
            await client.datasets.create_table_with_schema(name="images", schema=IMAGES, mode="create")
            await client.datasets.insert(table="images", records=[kept("a/b", PNG)])
        page = await studio.enter()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        remote = "https://example.org/spy.png"
        stored = "dataset://images?id=a%2Fb"
        said = f"image room:///images/a%20cat.png room:///images/missing.png {remote} room:///x.svg {stored}"
        await say(page, said)
        await ended(page)
        images = conversation(page).get_by_role("img", name="a cat")
        await expect(images).to_have_count(3)
        await page.wait_for_function(
            "() => [...document.querySelectorAll('.generated img')].every(i => i.naturalWidth === 2)"
        )
        addresses = conversation(page).locator(".generated code")
        missing = ["room:///images/missing.png", remote, "room:///x.svg"]
        await expect(addresses).to_have_text(missing)
        await expect(conversation(page)).to_contain_text(
            "The image could not be made. <b>The model refused.</b>"
        )
        await studio.picture(page, "images")
        assert all(url.startswith((studio.room.url, "data:")) for url in asked)
    assert studio.complaints == []


async def test_files_the_agent_shows_are_fetched_from_the_room(studio: Studio) -> None:
    made, png = b"%PDF-1.7 <script>alert(1)</script>", b64decode(PNG.partition(",")[2])
    async with chat_agent(studio.room), studio.room.client("uploader", role="agent") as client:
        await client.storage.upload(path="out/a report.pdf", data=made)
        await client.storage.upload(path="out/cat.png", data=png)
        page = await studio.enter()
        await say(page, "show room:///out/a%20report.pdf room:///out/cat.png room:///out/gone.zip")
        await ended(page)
        for name, data in (("a report.pdf", made), ("cat.png", png)):
            async with page.expect_download() as coming:
                await page.get_by_role("button", name=f"Download {name}").click()
            download = await coming.value
            assert download.suggested_filename == name
            assert (await download.path()).read_bytes() == data
        await expect(conversation(page).get_by_role("img", name="Image from the agent")).to_have_count(1)
        await page.get_by_role("button", name="Download gone.zip").click()
        await expect(conversation(page)).to_contain_text("gone.zip: The room has this file no more")
        await studio.picture(page, "files")
    assert studio.complaints == []


async def test_an_image_is_seen_while_it_is_made(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "image wait")
        await expect(conversation(page)).to_contain_text("An image is being made")
        await expect(conversation(page).get_by_role("img", name="a cat")).to_have_count(1)
        await page.get_by_role("button", name="Stop").click()
        await ended(page)
        await expect(conversation(page)).to_contain_text("The image was not finished.")
    assert studio.complaints == []


async def test_context_and_cost_are_shown_and_compaction_is_told(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "compact")
        await ended(page)
        meter = page.get_by_role("button", name="242k of 272k tokens of context used, summarised at 245k")
        await expect(meter.locator(".meter-fill")).to_have_text("89%")
        await expect(page.locator(".composer .cost")).to_have_text("$0.42")
        await expect(conversation(page)).to_contain_text("240k in, 2k out · $0.42")
        await studio.picture(page, "context")
        await say(page, "compact now")
        await ended(page, 2)
        notice = turns(page).last.locator(".notice")
        await expect(notice).to_contain_text("The model's memory of this thread was shortened.")
        await expect(notice).to_contain_text("<i>They</i> talked about prices.")
        await expect(meter).to_be_hidden()
        await expect(page.locator(".composer .cost")).to_have_text("$0.84")
        await studio.picture(page, "compacted")
    assert studio.complaints == []


async def _menu(page: Page, entry: str) -> None:
    await page.locator(".thread-row").first.hover()
    await page.get_by_role("button", name=re.compile("^More about")).first.click()
    await page.get_by_role("menuitem", name=entry).click()


async def test_a_thread_is_cleared_after_a_question(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        page = await studio.enter()
        await say(page, "hello")
        await ended(page)
        await _menu(page, "Clear")
        dialog = page.get_by_role("dialog", name="Clear thread?")
        await expect(dialog).to_contain_text("forgotten, by everybody in this room and by the model")
        await studio.picture(page, "clear")
        await dialog.get_by_role("button", name="Cancel").click()
        assert not [heard for heard in agent.heard if heard["type"].endswith("thread.clear")]
        await _menu(page, "Clear")
        await dialog.get_by_role("button", name="Clear").click()
        await expect(turns(page)).to_have_count(0)
        await expect(conversation(page)).to_contain_text("Nothing has been said in this thread.")
        await say(page, "again")
        await ended(page)
        await expect(conversation(page)).not_to_contain_text("hello")
    assert studio.complaints == []


async def test_a_secret_is_typed_unseen_and_given_once(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        page = await studio.enter()
        await say(page, "secret")
        card = page.get_by_role("group", name="fake-agent asks you for WEATHER_KEY")
        await expect(card).to_contain_text("The key of the <b>weather</b> service.")
        field = card.get_by_label("WEATHER_KEY")
        await expect(field).to_have_attribute("type", "password")
        await expect(card.get_by_role("button", name="Give")).to_be_disabled()
        await field.fill("s3cret")
        await studio.picture(page, "secret")
        await field.press("Enter")
        await ended(page)
        await expect(conversation(page)).to_contain_text("I was told 6 characters.")
        await expect(card).to_have_count(0)
        (answer,) = [heard for heard in agent.heard if heard["type"].endswith("secret.response")]
        assert (answer["value"], answer["request_id"]) == ("s3cret", "q")
        assert "s3cret" not in await page.content()
        await say(page, "secret")
        await card.get_by_role("button", name="Refuse").click()
        await ended(page, 2)
        refused = [heard for heard in agent.heard if heard["type"].endswith("secret.response")][-1]
        assert refused["error"] == "The person who was asked refused."
        assert "value" not in refused
    assert studio.complaints == []


async def test_arguments_are_seen_while_the_model_writes_them(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        await say(page, "write")
        written = conversation(page).locator(".writing")
        await expect(written).to_have_text("python3 -c 'print(1)\\u{202e}'")
        await expect(conversation(page)).to_contain_text("Writing a command")
        await studio.picture(page, "writing")
        await page.get_by_role("button", name="Stop").click()
        await ended(page)
        await expect(written).to_have_count(0)
        await expect(conversation(page)).to_contain_text("python3 -c 'print(1)'")
    assert studio.complaints == []


async def test_an_agent_that_does_not_open_a_thread_is_asked_again(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        page = await studio.enter()
        await say(page, "hello")
        await ended(page)
        link = page.url
        agent.deaf = True
        await page.clock.install()
        await page.goto(link)
        await expect(page.get_by_role("status", name="Loading the thread")).to_be_visible()
        await page.clock.run_for(16_000)
        banner = page.locator(".banner")
        await expect(banner).to_contain_text("fake-agent does not answer, so this thread cannot be shown.")
        await studio.picture(page, "late")
        agent.deaf = False
        await banner.get_by_role("button", name="Try now").click()
        await page.clock.run_for(1_000)
        await expect(conversation(page)).to_contain_text("You said: hello")
        await expect(banner).to_be_hidden()
    assert studio.complaints == []


async def test_a_long_list_is_read_page_by_page(studio: Studio) -> None:
    async with chat_agent(studio.room) as agent:
        _many_threads(agent, 450)
        page = await studio.enter()
        links = page.locator(".thread-link")
        more = page.get_by_role("button", name="Show more")
        for count in (200, 400, 450):
            await expect(links).to_have_count(count)
            if count < 450:
                await more.scroll_into_view_if_needed()
                await studio.picture(page, "more-threads")
                await more.click()
        await expect(more).to_be_hidden()
    assert studio.complaints == []


def _many_threads(agent: ChatAgent, count: int) -> None:
    for number in range(count):
        path = f"dataset://agents/fake-agent/threads/{number:04}"
        agent.threads[path] = []
        agent.names[path] = f"Thread {number}"


async def test_an_agent_with_one_thread_offers_no_others(studio: Studio) -> None:
    path = "dataset://agents/fake-agent/threads/main"
    async with chat_agent(studio.room) as agent:
        _many_threads(agent, 3)
        agent.threads[path], agent.names[path] = [], "Everybody"
        await agent.only(path)
        page = await studio.enter()
        await expect(page.locator(".thread-link")).to_have_text(["Everybody"])
        await expect(page.get_by_role("button", name="New thread")).to_be_hidden()
        await say(page, "hello")
        await ended(page)
        assert list(agent.threads)[-1] == path
        assert agent.threads[path]
    assert studio.complaints == []


async def test_usage_by_model_and_day_is_shown(studio: Studio) -> None:
    async with chat_agent(studio.room):
        page = await studio.enter()
        meter = page.locator(".composer .meter")
        await say(page, "compact")
        await ended(page)
        await expect(meter).to_be_visible()
        await meter.click()
        dialog = page.get_by_role("dialog", name="Usage and cost")
        await expect(dialog).to_contain_text("Nothing was used yet")
        await dialog.get_by_role("button", name="Close").click()
        await expect(dialog).to_have_count(0)
        async with studio.room.client("writer", role="agent") as client:
            before = replace(UNPRICED, at=UNPRICED.at - timedelta(days=1))
            rows = to_table([replace(each, agent="fake-agent") for each in (KNOWN, before, UNTOLD)])
            where = {"name": "usage", "namespace": ["agents", "fake-agent"]}
            await client.datasets.create_table_with_schema(**where, schema=rows.schema, mode="create")
            await client.datasets.insert(
                table="usage", namespace=["agents", "fake-agent"], records=rows.to_pylist()
            )
        await meter.click()
        await expect(dialog).to_contain_text("llm/openai/gpt-5.5")
        await expect(dialog).to_contain_text("All threads")
        await expect(dialog).to_contain_text("$0.50+")
        await expect(dialog).to_contain_text("No price is known for codex/openai/gpt-5.5 (1 call).")
        await expect(dialog).to_contain_text("1 call broke off before the provider said what was used.")
        days = dialog.get_by_role("table").filter(has_text="By day").locator("tbody tr")
        today, yesterday = (each.at.astimezone().date().isoformat() for each in (KNOWN, before))
        await expect(days).to_have_count(2)
        await expect(days.locator("th")).to_have_text([today, yesterday])
        await expect(days.nth(0).locator("td")).to_have_text(["2", "1k", "400", "50", "20", "$0.50+"])
        await expect(days.nth(1).locator("td")).to_have_text(["1", "300", "10", "20", "5", "unknown"])
        await studio.picture(page, "usage")
        phone = await page.context.new_page()
        await phone.set_viewport_size({"width": 390, "height": 844})
        await phone.goto(page.url)
        await phone.locator(".composer .meter").click()
        await expect(phone.get_by_role("dialog", name="Usage and cost")).to_contain_text("All threads")
        await studio.picture(phone, "usage-phone")
        refused = await page.request.get(f"{studio.room.url}/rooms/another/usage?agent=fake-agent")
        assert refused.status == 404
    assert studio.complaints == []

"""Files and pictures that people attach in Studio, with the real room and the agent behind it."""

from __future__ import annotations

import asyncio
import base64
import re
import zlib
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, expect

from process_agent.core.content import FilePart, TextPart
from tests.browser.driver import ROOM, Studio, conversation, ended, say, turns
from tests.contract.agent_room import agent_in
from tests.fakes.backend import FakeBackend

pytestmark = pytest.mark.asyncio(loop_scope="session")


def png(width: int = 240, height: int = 120) -> bytes:
    """A picture with two colours, so that one sees whether it is there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return len(data).to_bytes(4) + checked + zlib.crc32(checked).to_bytes(4)

    row = b"\0" + b"\x3b\x5b\xdb" * (width // 2) + b"\xf0\xbe\x6a" * (width - width // 2)
    size = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    body = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def given(name: str, kind: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}


async def content(path: Path) -> bytes:
    return await asyncio.to_thread(path.read_bytes)


def kept(root: Path) -> set[str]:
    """Names of the files that people put into the room."""
    return {path.name for path in root.rglob("uploads/*/*")}


HAND_OVER = """([how, name, type, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name, { type }));
    const box = document.querySelector("textarea");
    const options = { bubbles: true, cancelable: true };
    if (how === "paste") box.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
    else for (const type of ["dragenter", "dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: data }));
}"""


async def hand_over(page: Page, how: str, name: str, kind: str, data: bytes) -> None:
    await page.evaluate(HAND_OVER, [how, name, kind, base64.b64encode(data).decode()])


async def test_files_are_chosen_dropped_and_pasted_and_everybody_sees_them(
    studio: Studio, tmp_path: Path
) -> None:
    backend = FakeBackend()
    notes = b"total: 3\n" * 40_000  # more than one piece
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter()
        chips = page.get_by_role("list", name="Attached files").get_by_role("listitem")
        async with page.expect_file_chooser() as choosing:
            await page.get_by_role("button", name="Attach files").click()
        chooser = await choosing.value
        await chooser.set_files(
            [given("notes.txt", "text/plain", notes), given(".env", "text/plain", b"A=1")]
        )
        await expect(chips).to_have_count(2)
        await hand_over(page, "drop", "scan.pdf", "application/pdf", b"%PDF-1.4")
        await hand_over(page, "paste", "image.png", "image/png", png())
        await expect(chips).to_have_count(4)
        await page.get_by_role("button", name="Remove .env").click()
        await expect(chips).to_have_count(3)
        await expect(chips.and_(page.locator("[data-state=there]"))).to_have_count(3)
        await expect(chips.last.locator("img")).to_have_js_property("naturalWidth", 240)
        for look in ("light", "dark", "phone"):
            await studio.picture(page, f"attaching-{look}")
            await page.emulate_media(color_scheme="dark" if look == "light" else "light")
            await page.set_viewport_size(
                {"width": 390, "height": 844} if look == "dark" else {"width": 1280, "height": 860}
            )
        question = "What is in these?\n" + "\n".join(
            f"Line {number} of a text that was pasted" for number in range(60)
        )
        await say(page, question)
        await expect(chips).to_have_count(0)
        turn = await backend.turn(0)
        text, *files = turn.input.content
        assert text == TextPart(question)
        found = [(part.name, part.url, part.path) for part in files if isinstance(part, FilePart)]
        assert [name for name, _, _ in found] == ["notes.txt", "scan.pdf", "image.png"]
        assert found[2][1] == f"data:image/png;base64,{base64.b64encode(png()).decode()}"
        assert found[0][2] is not None
        assert await content(Path(found[0][2])) == notes
        turn.answer("Notes, a scan and a picture.")
        await ended(page)
        other = await studio.enter("ben", phone=True)
        await other.goto(page.url)
        for seen in (page, other):
            said = turns(seen).first
            await expect(said.get_by_role("img", name="image.png")).to_have_js_property("naturalWidth", 240)
            await expect(said.get_by_role("button", name="Download scan.pdf")).to_be_visible()
        async with other.expect_download() as fetching:
            await turns(other).get_by_role("button", name="Download notes.txt").click()
        assert await content(await (await fetching.value).path()) == notes
        folded = turns(page).first.locator(".long-text p")
        height = await folded.evaluate("text => text.offsetHeight")
        await studio.picture(page, "attached")
        await turns(page).first.get_by_role("button", name="Show all of it").click()
        assert await folded.evaluate("text => text.offsetHeight") > 3 * height
        await turns(page).first.get_by_role("button", name="Show less").click()
        assert await folded.evaluate("text => text.offsetHeight") == height
        await studio.picture(other, "attached-phone")
    assert studio.complaints == []


async def test_what_cannot_be_attached_says_why_and_a_lost_upload_can_be_tried_again(
    studio: Studio, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with agent_in(studio.room, tmp_path, [backend]):
        page = await studio.enter()
        await page.evaluate("""() => {
            const data = new DataTransfer();
            const film = new File(["x"], "film.mov");
            Object.defineProperty(film, "size", { value: 80 * 1024 * 1024 });
            const input = document.querySelector("input[type=file]");
            Object.defineProperty(input, "files", { configurable: true, get: () => [film] });
            input.dispatchEvent(new Event("change"));
            delete input.files;
        }""")
        alert = page.locator(".attach-note")
        await expect(alert).to_have_text("film.mov has 80 MB; a file can have at most 64 MB.")
        await studio.picture(page, "attach-refused")
        # The file is gone before it was read.
        await page.evaluate("""() => {
            const data = new DataTransfer();
            data.items.add(new File(["all of it"], "late.txt"));
            const slice = Blob.prototype.slice;
            Blob.prototype.slice = () => {
                Blob.prototype.slice = slice;
                throw new Error("It cannot be read.");
            };
            const options = { bubbles: true, cancelable: true, dataTransfer: data };
            document.body.dispatchEvent(new DragEvent("drop", options));
        }""")
        await expect(alert).to_be_hidden()
        chip = page.get_by_role("list", name="Attached files").get_by_role("listitem")
        await expect(chip).to_contain_text("It cannot be read.")
        send = page.get_by_role("button", name=re.compile("^Send"))
        await expect(send).to_be_disabled()
        await page.get_by_role("button", name="Upload late.txt again").click()
        await send.and_(page.locator(":enabled")).click()  # without a word
        turn = await backend.turn(0)
        (part,) = turn.input.content
        assert isinstance(part, FilePart)
        assert base64.b64decode(part.url.partition(",")[2]) == b"all of it"
        await expect(conversation(page)).to_contain_text("late.txt")
        turn.end()
        await ended(page)
        await hand_over(page, "drop", "left.txt", "text/plain", b"never sent")
        await expect(chip.and_(page.locator("[data-state=there]"))).to_have_count(1)
        assert kept(tmp_path) == {"late.txt", "left.txt"}
        gone = asyncio.Event()
        async with studio.room.client("watcher", room=ROOM) as watcher:
            watcher.storage.on("file.deleted", lambda **_: gone.set())
            await page.goto("about:blank")
            await asyncio.wait_for(gone.wait(), 10)
        assert kept(tmp_path) == {"late.txt"}
    assert studio.complaints == []

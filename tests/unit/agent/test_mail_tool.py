"""`mail.new_email_thread`: what it takes, what people are asked, and what goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.tools.attach import workplace
from process_agent.agent.tools.mail import MailTools
from process_agent.agent.tools.tool import Call, Need, Plan
from process_agent.channels.mail.book import MailBook
from process_agent.channels.mail.compose import Mailbox
from process_agent.channels.mail.first_mails import MAX_TO, FirstMails
from process_agent.channels.mail.loops import MAX_PER_SENDER, reason_to_ignore
from process_agent.channels.mail.parse import parse_mail
from process_agent.core.content import Json
from process_agent.core.events import ToolRef
from process_agent.core.ids import ItemId, ThreadId
from process_agent.errors import MailError, RoomRequestError, ToolFailedError
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.mail_room import BOX, EMAILS
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.tools import scope, text_of

DIRECTORY = "dataset://agents/bot/threads"
MAIL: dict[str, Json] = {"to": ["jo@example.com"], "subject": "Lunch", "text": "At **one**?"}


class Post:
    """Takes what is sent; raises `error` instead, or refuses some."""

    def __init__(self) -> None:
        self.sent: list[tuple[tuple[str, ...], bytes]] = []
        self.error: MailError | None = None
        self.refused: Mapping[str, str] = {}

    async def send(self, sender: str, recipients: Sequence[str], data: bytes) -> Mapping[str, str]:
        if self.error is not None:
            raise self.error
        assert sender == BOX
        self.sent.append((tuple(recipients), data))
        return self.refused


class Desk:
    """The tool with all it needs."""

    def __init__(self, folder: Path, *, joined: bool = True) -> None:
        self.post, self.files, self.datasets = Post(), MemoryFiles(), MemoryDatasets()
        ids = iter(f"{n:08x}-id" for n in range(1_000))
        self.book = MailBook(self.datasets, self.files, DIRECTORY, lambda: next(ids))
        mails = FirstMails(
            Mailbox(BOX, "bot"),
            self.book,
            self.post,
            own=["bot@other.test"],
            new_id=lambda: next(ids),
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        place = workplace(folder, [folder / "data"])
        (self.tool,) = MailTools(mails, place, joined=joined).toolkit().tools

    def plan(self, **arguments: Json) -> tuple[Plan, Need]:
        plan = self.tool.planned({**MAIL, **arguments}, scope())
        assert plan.need is not None, "nothing leaves unasked"
        return plan, plan.need

    async def send(self, **arguments: Json) -> str:
        await self.book.start()
        plan, _ = self.plan(**arguments)
        ref = ToolRef(ItemId("i"), "mail", "new_email_thread")
        return text_of(await plan.run(Call(ref, {}, scope(), lambda *_: None)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "key").write_bytes(b"key")
    (tmp_path / "plan.csv").write_bytes(b"1,2")
    (tmp_path / ".env").write_bytes(b"KEY=1")
    return tmp_path


async def test_a_mail_goes_out_and_is_kept_for_its_replies(folder: Path) -> None:
    desk = Desk(folder)
    said = await desk.send(to=["jo@example.com", "Li@example.com", "JO@example.com"], files=["plan.csv"])
    assert said == "The mail was sent to jo@example.com, Li@example.com."
    ((recipients, data),) = desk.post.sent
    assert recipients == ("jo@example.com", "Li@example.com")
    message: Any = message_from_bytes(data, policy=default)
    assert message["To"] == "jo@example.com, Li@example.com"
    assert (message["From"], message["Subject"]) == (f"bot <{BOX}>", "Lunch")
    assert (message["In-Reply-To"], message["References"]) == (None, None)
    assert [part.get_content() for part in message.iter_attachments()] == ["1,2"]
    kept = await desk.book.find(message["Message-ID"])
    assert kept is not None
    assert (kept.thread_id, kept.role) == (ThreadId("T"), "agent")
    assert len(desk.datasets.rows(EMAILS)) == 1


async def test_no_program_answers_it(folder: Path) -> None:
    desk = Desk(folder)
    await desk.send()
    mail = parse_mail(desk.post.sent[0][1])
    assert "a program sent it" in str(reason_to_ignore(mail, "jo@example.com"))


def test_people_are_asked_about_each_mail(folder: Path) -> None:
    desk = Desk(folder)
    _, need = desk.plan(files=["plan.csv"])
    assert not need.lasting
    for part in ("“Lunch”", "plan.csv", BOX, "jo@example.com", "Whoever replies talks to the agent"):
        assert part in need.reason
    others = [desk.plan(), desk.plan(text="x"), desk.plan(to=["li@example.com"]), desk.plan(subject="x")]
    assert len({need.key, *(other.key for _, other in others)}) == 5
    _, apart = Desk(folder, joined=False).plan()
    assert "replies" not in apart.reason


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"to": []}, "1 to 10"),
        ({"to": "jo@example.com"}, "list of texts"),
        ({"to": [1]}, "list of texts"),
        ({"to": ["jo@example.com\r\nBcc: eve@evil.test"]}, "no plain address"),
        ({"to": ["Jo <jo@example.com>"]}, "no plain address"),
        ({"to": ["jo@example.com, eve@evil.test"]}, "no plain address"),
        ({"to": [f"p{n}@example.com" for n in range(MAX_TO + 1)]}, "1 to 10"),
        ({"to": [BOX.upper()]}, "this agent itself"),
        ({"to": ["bot+x@mail.test"]}, "this agent itself"),
        ({"to": ["bot@other.test"]}, "this agent itself"),
        ({"subject": "a\nBcc: eve@evil.test"}, "one line"),
        ({"subject": "x" * 201}, "more than 200"),
        ({"subject": " "}, "subject must be text"),
        ({"text": ""}, "text must be text"),
        ({"text": "x" * 100_001}, "more than 100000"),
        ({"files": [".env"]}, "Hidden"),
        ({"files": ["../x"]}, "is not the path"),
        ({"files": ["data/key"]}, "kept from commands"),
        ({"files": ["/etc/passwd"]}, "outside"),
    ],
)
def test_what_is_refused_before_anybody_is_asked(folder: Path, wrong: dict[str, Json], said: str) -> None:
    with pytest.raises(ToolFailedError, match=said):
        Desk(folder).plan(**wrong)


async def test_what_the_server_says_is_told(folder: Path) -> None:
    desk = Desk(folder)
    desk.post.refused = {"li@example.com": "550 unknown"}
    said = await desk.send(to=["jo@example.com", "li@example.com"])
    assert said.splitlines() == [
        "The mail was sent to jo@example.com.",
        "The server refused li@example.com: 550 unknown",
    ]
    desk.post.error = MailError("it is full", temporary=True)
    with pytest.raises(ToolFailedError, match=r"was not sent: it is full It may work later"):
        await desk.send()


async def test_a_mail_that_is_not_kept_is_not_sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(*_: Any, **__: Any) -> None:
        raise RoomRequestError("no")

    desk = Desk(folder)
    monkeypatch.setattr(desk.files, "write", refuses)
    with pytest.raises(RoomRequestError):
        await desk.send()
    assert desk.post.sent == []


async def test_nobody_gets_too_many(folder: Path) -> None:
    desk = Desk(folder)
    for _ in range(MAX_PER_SENDER):
        await desk.send()
    with pytest.raises(ToolFailedError, match="too many mails"):
        await desk.send()
    assert len(desk.post.sent) == MAX_PER_SENDER

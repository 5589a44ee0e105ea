"""Answers: who gets them, what they say, and what is not answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from process_agent.channels.errands import Outcome
from process_agent.channels.mail.book import tables_of
from process_agent.channels.mail.compose import (
    MAX_RECIPIENTS,
    Mailbox,
    Outgoing,
    Written,
    answer_subject,
    compose_answer,
    recipients_of,
)
from process_agent.channels.mail.html_answer import html_answer
from process_agent.channels.mail.loops import MAX_PER_SENDER, PACE_SECONDS, Pace, reason_to_ignore
from process_agent.channels.mail.message import Address, Attachment, Mail, Marks
from process_agent.channels.mail.notices import text_of
from process_agent.channels.mail.parse import parse_mail
from process_agent.channels.mail.prompt import content_of, title_of_mail
from process_agent.channels.mail.record import Place, document_of, kept_of, may_join, row_of
from process_agent.core.content import ErrorInfo, FilePart, TextPart
from process_agent.core.events import EndReason
from process_agent.core.ids import ThreadId
from process_agent.core.room import TableRef

BOX = Mailbox("bot@mail.test", "bot")
NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
THREAD = ThreadId("dataset://agents/bot/threads/t")


def mail(**fields: object) -> Mail:
    values: dict[str, object] = {
        "id": "<1@example.com>",
        "sender": Address("Ana", "ana@example.com"),
        "reply_to": None,
        "to": (Address("", "bot@mail.test"),),
        "cc": (),
        "subject": "Question",
        "text": "hello",
    }
    return Mail(**{**values, **fields})  # type: ignore[arg-type]


def answer(to: Mail, text: str = "hi", box: Mailbox = BOX, files: tuple[Attachment, ...] = ()) -> Outgoing:
    return compose_answer(to, box, Written(text, files), "0-1", NOW)


def parsed(outgoing: Outgoing) -> EmailMessage:
    message = message_from_bytes(outgoing.data, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_ids_are_never_encoded_or_cut() -> None:
    long = tuple(f"<{str(number) * 100}@example.com>" for number in range(30))
    message = answer(mail(id=f"<{'x' * 200}@example.com>", references=long))
    lines = message.data.decode("ascii").split("\r\n")
    assert f"In-Reply-To: <{'x' * 200}@example.com>" in lines
    assert f"References: {long[0]}" in lines
    assert f" {long[-1]}" in lines
    assert f" {long[1]}" not in lines
    assert not any("=?" in line for line in lines)


@pytest.mark.parametrize(
    "name", ["a\r\nBcc: eve@evil.test", 'a" <eve@evil.test>, "b', "x" * 5000, "ü,;:<>()"]
)
def test_nothing_from_outside_makes_a_header(name: str) -> None:
    box = Mailbox("bot@mail.test", name, reply_all=True)
    message = answer(
        mail(sender=Address(name, "ana@example.com"), cc=(Address(name, "jo@example.com"),), subject=name),
        box=box,
        files=(Attachment(name, f"text/{name}", b"x"),),
    )
    assert message.recipients == ("ana@example.com", "jo@example.com")
    found = parsed(message)
    assert found["Bcc"] is None
    assert [a.addr_spec for a in found["To"].addresses] == ["ana@example.com"]
    assert [a.addr_spec for a in found["Cc"].addresses] == ["jo@example.com"]
    assert [a.addr_spec for a in found["From"].addresses] == ["bot@mail.test"]
    assert b"\nBcc" not in message.data


def test_subjects() -> None:
    assert answer_subject("Hello") == "Re: Hello"
    assert answer_subject("RE: Hello") == "RE: Hello"
    assert answer_subject("re : x") == "re : x"
    assert answer_subject("Regarding") == "Re: Regarding"
    assert answer_subject("") == "Re:"


def test_html_answers_load_and_run_nothing() -> None:
    page = html_answer(
        "# T\n<script>x</script>\n[a](javascript:x) [b](data:text/html,x) [ok](https://x.test)\n"
        "![cat](https://track.test/?secret)\n\n|a|b|\n|-|-|\n|1|2|\n\n<img src=x onerror=y>"
    )
    assert "<h1>T</h1>" in page
    assert '<a href="https://x.test">ok</a>' in page
    assert '<a href="https://track.test/?secret">cat</a>' in page
    assert "<td>1</td>" in page
    for bad in ("<script", "<img", 'javascript:x"', 'href="data:'):
        assert bad not in page


def test_recipients_are_bounded_and_never_ourselves() -> None:
    crowd = tuple(Address("", f"p{number}@example.com") for number in range(200))
    box = Mailbox("bot@mail.test", "bot", reply_all=True)
    to, cc = recipients_of(mail(to=(Address("", "Bot+x@mail.test"), *crowd)), box)
    assert to == Address("Ana", "ana@example.com")
    assert cc == crowd[: MAX_RECIPIENTS - 1]
    assert recipients_of(mail(cc=crowd), BOX) == (to, ())


def test_an_answer_to_nobody() -> None:
    with pytest.raises(ValueError, match="no address"):
        answer(mail(sender=None))


def test_an_answer_reads_back() -> None:
    text = "Grüße\n.\n..\nFrom me\n" + "long " * 500
    found = parse_mail(answer(mail(), text).data)
    assert found.text == text.strip()
    assert found.in_reply_to == "<1@example.com>"
    assert found.marks.auto_submitted == "auto-replied"
    assert reason_to_ignore(found, "ana@example.com") is not None


# --- What is not answered ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "answered"),
    [
        (Marks(), True),
        (Marks(auto_submitted="no"), True),
        (Marks(auto_submitted="no; x=y"), True),
        (Marks(auto_submitted="auto-generated"), False),
        (Marks(auto_submitted="auto-replied; owner=x"), False),
        (Marks(precedence="list"), False),
        (Marks(precedence="first-class"), True),
        (Marks(return_path="<ana@example.com>"), True),
        (Marks(return_path="< >"), False),
        (Marks(return_path=""), False),
        (Marks(list_header="<mailto:x>"), False),
        (Marks(suppress="dr, autoreply"), False),
        (Marks(suppress="none"), True),
        (Marks(content_type="multipart/report"), False),
    ],
)
def test_marks_of_programs(marks: Marks, answered: bool) -> None:
    assert (reason_to_ignore(mail(marks=marks), BOX.address) is None) == answered


@pytest.mark.parametrize(
    ("fields", "answered"),
    [
        ({"sender": Address("", "postmaster@x.test")}, False),
        ({"sender": Address("", "list-request@x.test")}, False),
        ({"sender": Address("", "no-reply@x.test")}, False),
        ({"sender": Address("", "no-reply@x.test"), "reply_to": Address("", "ana@x.test")}, True),
        ({"sender": Address("", "BOT+x@mail.test")}, False),
        ({"to": (Address("", "other@mail.test"),)}, False),
        ({"to": (), "cc": (Address("", "Bot@mail.test"),)}, True),
        ({"to": (), "delivered_to": (Address("", "bot@mail.test"),)}, True),
    ],
)
def test_addresses_of_programs(fields: dict[str, object], answered: bool) -> None:
    assert (reason_to_ignore(mail(**fields), BOX.address) is None) == answered


def test_pace() -> None:
    pace = Pace()
    assert all(pace.allows("A@x", float(n)) for n in range(MAX_PER_SENDER))
    assert not pace.allows("a@x", 100.0)
    assert pace.allows("b@x", 100.0)
    assert pace.allows("a@x", PACE_SECONDS + 0.5)


# --- What is kept --------------------------------------------------------------------------------


def test_a_row_reads_back() -> None:
    place = Place(".emails/a/b", (".emails/a/b/attachments/x.pdf",))
    one = mail(sender=Address('D"oe, Jo', "jo@example.com"), cc=(Address("", "li@example.com"),))
    row = row_of(document_of(one, "user", THREAD, place))
    kept = kept_of(row)
    assert kept is not None
    assert (kept.id, kept.thread_id, kept.role) == ("<1@example.com>", THREAD, "user")
    assert kept.people == {"jo@example.com", "bot@mail.test", "li@example.com"}
    assert may_join(kept, [Address("", "JO@example.com")])
    assert not may_join(kept, [Address("", "jo@example.com"), Address("", "eve@evil.test")])


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"id": "<1>", "json": "{"},
        {"id": "<1>", "json": "[]"},
        {"id": "<1>", "json": "[" * 100_000},
        {"id": "<1>", "json": None, "thread_id": None},
        {"id": 5, "thread_id": "t", "json": "{}"},
    ],
)
def test_rows_that_say_nothing(row: dict[str, object]) -> None:
    assert kept_of(row) is None


def test_the_thread_of_a_row_may_stand_in_its_document_only() -> None:
    document = {"thread_id": THREAD, "role": "agent", "to": "ana@example.com", "cc": [5, None]}
    kept = kept_of({"id": "<1>", "json": json.dumps(document)})
    assert kept is not None
    assert (kept.thread_id, kept.role) == (THREAD, "agent")


def test_where_the_table_is() -> None:
    literal = TableRef("emails", ("dataset:", "agents", "bot", "threads"))
    plain = TableRef("emails", ("agents", "bot", "threads"))
    assert tables_of("dataset://agents/bot/threads") == (literal, plain)
    assert tables_of("/agents/bot/threads") == (plain,)


# --- What people and models read -----------------------------------------------------------------


def test_the_model_reads_who_wrote_and_that_nobody_checked() -> None:
    image = Attachment("a.png", "image/png", b"")
    one = mail(reply_to=Address("", "team@example.com"), attachments=(image,), notes=("x was left out.",))
    text, file = content_of(one, [".emails/a/b/attachments/a.png"])
    assert isinstance(text, TextPart)
    assert text.text.splitlines()[:4] == [
        "Incoming email message:",
        "From: Ana <ana@example.com>",
        "Reply-To: team@example.com",
        "To: bot@mail.test",
    ]
    assert "Note: Nobody checked who wrote this" in text.text
    assert "Note: x was left out." in text.text
    assert text.text.endswith("\n\nhello")
    assert file == FilePart("room:///.emails/a/b/attachments/a.png", "a.png")


def test_titles() -> None:
    assert title_of_mail(mail()) == "Question"
    assert title_of_mail(mail(subject="", text="\n first line\nsecond")) == "first line"
    assert title_of_mail(mail(subject="", text="")) == "Ana <ana@example.com>"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(EndReason.COMPLETED, texts=("a", "b"), commentary=("c",)), "a\n\nb"),
        (Outcome(EndReason.COMPLETED, commentary=("c", "d")), "d"),
        (Outcome(EndReason.COMPLETED), "wrote no answer"),
        (Outcome(EndReason.COMPLETED, files=("data:x",)), "attached files"),
        (Outcome(EndReason.COMPLETED, texts=("a",), truncated=True), "the rest is in the thread"),
        (Outcome(EndReason.FAILED, ErrorInfo("secret", "out of\r\n order")), "`failed`"),
        (Outcome(EndReason.LOST, ErrorInfo("secret", "agent_stopped")), "was stopped"),
        (Outcome(None, ErrorInfo("secret", "unknown_model")), "did not begin to work"),
    ],
)
def test_what_a_sender_reads(outcome: Outcome, words: str) -> None:
    text = text_of(outcome)
    assert words in text
    assert "secret" not in text

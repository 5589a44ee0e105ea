"""Whatever comes in a mail: parsing ends, answers have our headers and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

from hypothesis import example, given
from hypothesis import strategies as st

from process_agent.channels.mail.attachments import MAX_NAME, safe_name
from process_agent.channels.mail.compose import Mailbox, Written, compose_answer
from process_agent.channels.mail.html_answer import html_answer
from process_agent.channels.mail.html_text import html_to_text
from process_agent.channels.mail.loops import reason_to_ignore
from process_agent.channels.mail.parse import parse_mail
from process_agent.channels.mail.prompt import content_of, title_of_mail
from process_agent.channels.mail.record import Place, document_of, kept_of, row_of
from process_agent.core.ids import ThreadId
from process_agent.errors import WireError

NAMES = (
    "From", "To", "Cc", "Reply-To", "Subject", "Message-ID", "In-Reply-To", "References", "Date", "Sender",
    "Content-Type", "Content-Disposition", "Content-Transfer-Encoding", "MIME-Version", "Return-Path",
    "Auto-Submitted", "Delivered-To", "List-Id", "Meshagent-Correlation-ID", "X-Other",
)  # fmt: skip
PIECES = st.sampled_from(
    ["a@b.test", "<a@b.test>", '"', "(", ")", "<", ">", ",", ";", ":", "@", "\\", ".",
     "=?utf-8?q?=0D=0ABcc:x?=", "=?utf-8?b?4oCu?=", "=?nope?q?x?=",
     "=?", "?=", "\r\n ", "\n\t", "\0", "\xff", "é", "bot@mail.test",
     "multipart/mixed; boundary=x", "text/html", "text/plain; charset=", "utf-7", "punycode", "base64",
     "quoted-printable", "x-uuencode", "message/rfc822", "message/delivery-status", 'filename="', "../..",
     "name*0*=utf-8''%00", "filename*=utf-8''%2e%2e%2fx", "group: a@b;", "attachment;"]
)  # fmt: skip
VALUES = st.lists(PIECES | st.text(max_size=8), max_size=8).map(" ".join)
BODIES = st.lists(
    st.sampled_from(
        ["--x\n", "--x--\n", "\n", "Content-Type: text/html\n",
         "Content-Type: multipart/alternative; boundary=x\n",
         "Content-Disposition: attachment; filename=x\n", "Content-Type: message/rfc822\n",
         "<p>", "=E9=", "aGk="]
    ) | st.text(max_size=30),
    max_size=12,
).map("".join)  # fmt: skip
MAILS = st.builds(
    lambda headers, body: (
        "From: ana@example.com\n" + "".join(f"{n}: {v}\n" for n, v in headers) + "\n" + body
    ).encode("utf-8", "surrogatepass"),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8),
    BODIES,
)
BOX = Mailbox("bot@mail.test", "bot", reply_all=True)
OURS = {
    "message-id", "date", "from", "to", "cc", "subject", "in-reply-to", "references", "auto-submitted",
    "x-auto-response-suppress", "meshagent-correlation-id", "mime-version", "content-type",
}  # fmt: skip


@given(MAILS | st.binary(max_size=400))
def test_any_mail_is_parsed_or_refused_and_its_answer_is_ours(raw: bytes) -> None:
    try:
        mail = parse_mail(raw)
    except WireError:
        return
    reason_to_ignore(mail, BOX.address)
    content_of(mail, ["p"] * len(mail.attachments))
    title_of_mail(mail)
    place = Place(".emails/a/b", tuple(f"x/{a.name}" for a in mail.attachments))
    kept = kept_of(row_of(document_of(mail, "user", ThreadId("t"), place)))
    assert kept is not None
    assert kept.id == mail.id
    assert {a.key for a in (*mail.to, *mail.cc)} <= kept.people
    assert mail.id.isascii()
    assert not set(mail.id) & set(" \r\n\t\0")
    if mail.answer_to is None:
        return
    written = Written(mail.text, mail.attachments)
    outgoing = compose_answer(mail, BOX, written, "unique", datetime(2026, 1, 1, tzinfo=UTC))
    head, _, _ = outgoing.data.partition(b"\r\n\r\n")
    names = [
        line.split(b":")[0].decode().lower() for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")
    ]
    assert set(names) <= OURS
    assert len(names) == len(set(names))
    assert b"\0" not in head
    found = message_from_bytes(outgoing.data, policy=policy.default)
    assert found["In-Reply-To"] == mail.id
    named = [
        a.addr_spec for header in ("To", "Cc") for a in (found[header].addresses if found[header] else ())
    ]
    assert {a.lower() for a in named} == {a.lower() for a in outgoing.recipients}
    again = parse_mail(outgoing.data)
    assert len(again.attachments) == len(mail.attachments)


@example("~.0", "text/plain")
@given(st.text(max_size=300), st.sampled_from(["text/plain", "image/png", "x", "a/b", ""]))
def test_any_name_of_a_file_is_one_safe_part_of_a_path(name: str, kind: str) -> None:
    safe = safe_name(name, kind)
    assert 0 < len(safe) <= MAX_NAME
    assert not set(safe) & set('/\\:*?"<>|%#\0\r\n')
    assert safe.isprintable() or "\u200c" in safe or "\u200d" in safe
    assert safe[0] not in ".-~ "
    assert safe[-1] not in ". "
    assert safe_name(safe, kind) == safe


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["<p>", "</p>", "<a href=", "<script>", "x", "<!--", "&#"])).map("".join)
)
def test_any_page_has_a_text(page: str) -> None:
    assert isinstance(html_to_text(page), str)


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["![", "](", "javascript:", "<img ", "x", ")", "\n", "`"])).map("".join)
)
def test_no_answer_runs_or_loads_anything(markdown: str) -> None:
    page = html_answer(markdown).lower()
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page

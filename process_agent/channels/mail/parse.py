"""Raw mail to `Mail`: the standard library's parser, with bounds where it has none. Pure.

Whoever can send mail writes these bytes. The parser recurses once for each nested part, looks at every line
once for each open part, and takes quadratic time for some headers; hence the limits before and around it.
What cannot be understood is left out with a note; only what is no mail at all raises.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.errors import MessageError
from email.headerregistry import HeaderRegistry
from email.message import Message
from email.parser import BytesParser
from email.policy import EmailPolicy
from email.utils import getaddresses
from typing import Any, Final

from process_agent.channels.mail.attachments import Collected
from process_agent.channels.mail.html_text import MAX_HTML, html_to_text
from process_agent.channels.mail.message import Address, Mail, Marks, is_address, one_line
from process_agent.errors import WireError

MAX_BYTES: Final = 25 << 20
"""Bytes of a raw mail."""

MAX_LINES: Final = 600_000
MAX_WORK: Final = 30_000_000
"""Lines times headers of parts: what the parser has to look at when all parts lie inside each other."""

MAX_NESTED: Final = 330
"""Parts inside each other at which the parser gives up itself."""

MAX_PARTS: Final = 500
"""Parts that are looked at; the rest is left out."""

MAX_DEPTH: Final = 30
"""Parts inside each other that are looked at."""

MAX_HEADER: Final = 32_000
"""Characters of one header."""

MAX_STRUCTURED: Final = 2_000
"""Characters of a header that takes the parser more than linear time, like the names of a part's file."""

MAX_HEADERS: Final = 1_000_000
"""Characters of all different headers together."""

MAX_ADDRESSES: Final = 200
"""Addresses of one header; a mail to more people is not for us to answer."""

MAX_TEXT: Final = 100_000
"""Characters of a mail's text that go to the model; the whole of it is kept in the room's storage."""

MAX_REFERENCES: Final = 50
MAX_ID: Final = 400
"""Characters of a message id; longer ones are no use as a name."""

BROKEN: Final = (
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    RecursionError,
    MessageError,
)
"""What the standard parser raises on mail it did not expect (observed with 3.13)."""

_ID: Final = re.compile(rf"<[^<>\s]{{1,{MAX_ID - 2}}}>")
_UNFIT_CODECS: Final = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})
_PLAIN: Final = ("text/plain", "text/html")


def parse_mail(raw: bytes, own_domain: str = "localhost") -> Mail:
    """Parse one mail. A mail without an id gets one made of its content, so that it is known when it comes
    again. Raises `WireError` for what is too large or no mail.
    """
    _check(raw)
    try:
        root = BytesParser(policy=_policy()).parsebytes(raw)
    except BROKEN as error:
        raise WireError(f"The mail cannot be parsed: {error!r}"[:500]) from error
    headers = _Headers(root)
    if not any(headers.has(name) for name in ("from", "to", "subject", "date", "message-id")):
        raise WireError("This is no mail: it has none of the headers that every mail has.")
    collected = Collected()
    texts = _texts(root, collected)
    text, cut = _limited("\n\n".join(texts))
    notes = (*collected.notes, *([_CUT] if cut else []))
    return Mail(
        id=headers.id("message-id") or f"<{hashlib.sha256(raw).hexdigest()}@{own_domain}>",
        sender=headers.address("from") or headers.address("sender"),
        reply_to=headers.address("reply-to"),
        to=headers.addresses("to"),
        cc=headers.addresses("cc"),
        subject=one_line(headers.text("subject")),
        text=text,
        in_reply_to=headers.id("in-reply-to"),
        references=headers.ids("references"),
        date=one_line(headers.text("date"), 100),
        delivered_to=(*headers.addresses("delivered-to"), *headers.addresses("x-original-to")),
        attachments=collected.files,
        notes=notes,
        marks=_marks(headers, root),
        correlation_id=one_line(headers.text("meshagent-correlation-id"), 200) or None,
    )


_CUT: Final = f"The text was cut after {MAX_TEXT} characters."


def _check(raw: bytes) -> None:
    if len(raw) > MAX_BYTES:
        raise WireError(f"The mail has more than {MAX_BYTES >> 20} MiB.")
    lines = max(raw.count(b"\n"), raw.count(b"\r"))
    if lines > MAX_LINES:
        raise WireError(f"The mail has more than {MAX_LINES} lines.")
    parts = len(re.findall(rb"content-type", raw, re.IGNORECASE))
    if lines * min(parts, MAX_NESTED) > MAX_WORK:
        raise WireError("The mail has too many parts for so many lines.")


def _policy() -> EmailPolicy[Any]:
    """The default policy; each different header is parsed once, and in part when it is long."""
    registry: Callable[[str, str], Any] = HeaderRegistry()
    known: dict[tuple[str, str], Any] = {}
    left = MAX_HEADERS

    def bounded(name: str, value: str) -> Any:
        nonlocal left
        value = value[:MAX_STRUCTURED]
        key = (name.lower(), value)
        if key not in known:
            left -= len(value) + 1
            if left < 0:
                raise ValueError("the headers are too long")
            known[key] = registry(name, value)
        return known[key]

    return EmailPolicy(header_factory=bounded, refold_source="none")


# --- Headers -------------------------------------------------------------------------------------


class _Headers:
    """The headers of a mail by lower-case name, decoded, never raising."""

    def __init__(self, message: Message[Any, Any]) -> None:
        self._raw: dict[str, list[str]] = {}
        for name, value in message.raw_items():
            unfolded = re.sub(r"[\r\n]+", "", str(value)[:MAX_HEADER])
            self._raw.setdefault(str(name).lower(), []).append(unfolded.strip())

    def has(self, name: str) -> bool:
        return name in self._raw

    def every(self, name: str) -> list[str]:
        return self._raw.get(name, [])

    def text(self, name: str) -> str:
        """The first header of a name, decoded; empty when there is none."""
        return next((_decoded(value) for value in self.every(name)), "")

    def mark(self, name: str) -> str | None:
        """Like `text`, for comparing."""
        return one_line(self.text(name), 200).lower() if self.has(name) else None

    def addresses(self, name: str) -> tuple[Address, ...]:
        """Every usable address, each once."""
        found: dict[str, Address] = {}
        try:
            pairs = getaddresses([_unescaped(value) for value in self.every(name)])
        except BROKEN:
            pairs = []
        for display, addr in pairs[:MAX_ADDRESSES]:
            if is_address(addr):
                found.setdefault(addr.lower(), Address(one_line(_decoded(display), 200), addr))
        return tuple(found.values())

    def address(self, name: str) -> Address | None:
        return next(iter(self.addresses(name)), None)

    def ids(self, name: str) -> tuple[str, ...]:
        """Message ids, the last `MAX_REFERENCES` of them."""
        found = [id for value in self.every(name)[:3] for id in _ID.findall(value) if id.isascii()]
        return tuple(dict.fromkeys(found))[-MAX_REFERENCES:]

    def id(self, name: str) -> str | None:
        return next(iter(self.ids(name)), None)


_HEADER: Final[Callable[[str, str], Any]] = HeaderRegistry()


def _decoded(value: str) -> str:
    """Encoded words and stray bytes as text. `Subject` is the unstructured header, the quick one."""
    with suppress(*BROKEN):  # then as it stands
        value = str(_HEADER("subject", value))
    return _unescaped(value)


def _unescaped(value: str) -> str:
    """Bytes above ASCII, which the parser keeps as surrogates, as UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _marks(headers: _Headers, root: Message[Any, Any]) -> Marks:
    lists = ("list-id", "list-post", "list-help", "list-unsubscribe")
    return Marks(
        auto_submitted=headers.mark("auto-submitted"),
        precedence=headers.mark("precedence"),
        return_path=headers.mark("return-path"),
        list_header=next((headers.mark(name) for name in lists if headers.has(name)), None),
        suppress=headers.mark("x-auto-response-suppress"),
        content_type=_content_type(root),
    )


# --- Parts ---------------------------------------------------------------------------------------


def _texts(root: Message[Any, Any], collected: Collected) -> list[str]:
    """The texts a person would read, in order; everything else becomes an attachment."""
    texts = []
    for part, shown in _leaves(root):
        kind = _content_type(part)
        if shown and kind in _PLAIN:
            text = _text(part)
            text = html_to_text(text) if kind == "text/html" else text
            texts.append(text.replace("\r\n", "\n").strip())
        else:
            collected.add(_filename(part), kind, _payload(part))
    return [text for text in texts if text]


def _leaves(root: Message[Any, Any]) -> Iterator[tuple[Message[Any, Any], bool]]:
    """Parts that hold no parts, with whether a person sees them as text of this mail.

    Of alternatives the plain text is seen, else the page; a mail inside the mail is one leaf.
    """
    todo: list[tuple[Message[Any, Any], bool, int]] = [(root, True, 0)]
    count = 0
    while todo and count < MAX_PARTS:
        part, shown, depth = todo.pop()
        count += 1
        kind = _content_type(part)
        if not part.is_multipart() or kind.startswith("message/"):
            yield part, shown and not _is_file(part)
            continue
        children = [child for child in part.get_payload() if isinstance(child, Message)]
        if depth >= MAX_DEPTH:
            continue
        chosen = _chosen(children) if kind == "multipart/alternative" else None
        for child in reversed(children):
            if chosen is None or child is chosen:
                todo.append((child, shown, depth + 1))
            elif _content_type(child) not in _PLAIN:  # the other forms of a text are no files
                todo.append((child, False, depth + 1))


def _chosen(children: list[Message[Any, Any]]) -> Message[Any, Any] | None:
    for wanted in _PLAIN:
        for child in children:
            if _content_type(child) == wanted and _text(child).strip():
                return child
    return next((child for child in children if child.is_multipart()), None)


def _is_file(part: Message[Any, Any]) -> bool:
    try:
        return part.get_content_disposition() == "attachment" or bool(part.get_filename())
    except BROKEN:
        return True


def _content_type(part: Message[Any, Any]) -> str:
    try:
        return part.get_content_type()
    except BROKEN:
        return "application/octet-stream"


def _filename(part: Message[Any, Any]) -> str:
    try:
        return _decoded(part.get_filename() or "")
    except BROKEN:
        return ""


def _payload(part: Message[Any, Any]) -> bytes:
    try:
        if part.is_multipart():  # a mail inside the mail
            return b"\r\n".join(
                child.as_bytes() for child in part.get_payload() if isinstance(child, Message)
            )
        data = part.get_payload(decode=True)
    except BROKEN:
        return b""
    return data if isinstance(data, bytes) else b""


def _text(part: Message[Any, Any]) -> str:
    data = _payload(part)[: 4 * MAX_HTML]
    try:
        charset = str(part.get_content_charset() or "utf-8")
        name = codecs.lookup(charset).name
        if name.replace("-", "_") in _UNFIT_CODECS:
            raise LookupError(charset)
        return data.decode(name, "replace").replace("\0", "")
    except BROKEN:
        return data.decode("utf-8", "replace").replace("\0", "")


def _limited(text: str) -> tuple[str, bool]:
    return text[:MAX_TEXT], len(text) > MAX_TEXT

"""Which mail gets no answer, so that two programs never write to each other for ever (RFC 3834). Pure."""

from __future__ import annotations

from collections import OrderedDict, deque

from process_agent.channels.mail.message import Mail, same_mailbox

MAX_PER_SENDER = 30
"""Mails of one address that are answered within `PACE_SECONDS`."""

PACE_SECONDS = 3600.0
MAX_SENDERS = 10_000
"""Addresses whose pace is remembered."""

_BULK = frozenset({"bulk", "junk", "list", "auto_reply", "auto-reply"})
_DAEMONS = frozenset({"mailer-daemon", "postmaster"})
_DEAF = frozenset(
    ["noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "do_not_reply", "bounce", "bounces"]
)


def reason_to_ignore(mail: Mail, own: str) -> str | None:
    """Why a mail to the address `own` must not be answered, for the log; None when it may be."""
    if mail.sender is None or mail.answer_to is None:
        return "it has no address to answer"
    return (
        _from_ourselves(mail, own) or _from_a_program(mail) or _from_a_daemon(mail) or _not_to_us(mail, own)
    )


def _from_ourselves(mail: Mail, own: str) -> str | None:
    sources = (mail.sender, mail.answer_to)
    ours = any(source is not None and same_mailbox(source.addr, own) for source in sources)
    return "it comes from our own address" if ours else None


def _from_a_program(mail: Mail) -> str | None:
    marks = mail.marks
    submitted = (marks.auto_submitted or "no").partition(";")[0].strip()
    if marks.content_type in ("multipart/report", "message/delivery-status"):
        return "it is a delivery report"
    if submitted != "no":
        return f"a program sent it (Auto-Submitted: {submitted})"
    if marks.precedence in _BULK:
        return f"it is bulk mail (Precedence: {marks.precedence})"
    if marks.return_path is not None and marks.return_path.replace(" ", "") in ("", "<>"):
        return "it has an empty return path, as bounces have"
    if marks.list_header is not None:
        return "it comes from a mailing list"
    if marks.suppress is not None and any(word in marks.suppress for word in ("all", "autoreply")):
        return "its sender wants no automatic answer (X-Auto-Response-Suppress)"
    return None


def _from_a_daemon(mail: Mail) -> str | None:
    for source in (mail.sender, mail.answer_to):
        local = "" if source is None else source.key.partition("@")[0]
        if local in _DAEMONS or local.startswith("owner-") or local.endswith("-request"):
            return f"{local} is a program"
    answer = "" if mail.answer_to is None else mail.answer_to.key.partition("@")[0]
    return f"nobody reads {answer}" if answer.partition("+")[0] in _DEAF else None


def _not_to_us(mail: Mail, own: str) -> str | None:
    named = (*mail.to, *mail.cc, *mail.delivered_to)
    if any(same_mailbox(address.addr, own) for address in named):
        return None
    return f"it is not addressed to {own}"


class Pace:
    """How often an address was answered lately: a program that does not say that it is one still stops.

    Times are seconds of any clock that only goes forward.
    """

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Count one mail of an address; False when it sent too many."""
        times = self._times.setdefault(address.lower(), deque())
        self._times.move_to_end(address.lower())
        while times and now - times[0] >= PACE_SECONDS:
            times.popleft()
        if len(self._times) > MAX_SENDERS:
            self._times.popitem(last=False)
        if len(times) >= MAX_PER_SENDER:
            return False
        times.append(now)
        return True

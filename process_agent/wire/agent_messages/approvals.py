"""What the published messages about approvals have no fields for, in `metadata` below the key `process`.

Clients that know nothing of it approve once or reject, and are told who decided as a line of the call's log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from process_agent.core import events as e
from process_agent.core.content import Json
from process_agent.core.decisions import NO_ANSWERS, YES_OR_NO, Answers, Decision, Option, Question
from process_agent.errors import WireError
from process_agent.wire.agent_messages.parts import OWN, Fields

MAX_QUESTIONS = 50
"""Questions that one answer may be about."""

# --- Requests ------------------------------------------------------------------------------------


def encode_request(body: e.ApprovalRequested) -> dict[str, Json]:
    """What can be decided and by whom, and why it is asked."""
    own: dict[str, Json] = {"approval_reason": body.reason, "decisions": [d.value for d in body.decisions]}
    if body.number:
        own["number"] = body.number
    if body.questions:
        own["questions"] = [_encode_question(question) for question in body.questions]
    if body.approvers:
        own["approvers"] = list(body.approvers)
    return own


def decode_request(
    ref: e.ToolRef, arguments: Mapping[str, Json], own: Mapping[str, Json]
) -> e.ApprovalRequested:
    """The request; where nothing says what can be decided, it is yes or no."""
    reason, number = own.get("approval_reason"), own.get("number")
    questions, approvers = own.get("questions"), own.get("approvers")
    return e.ApprovalRequested(
        ref,
        arguments,
        reason if isinstance(reason, str) else None,
        _decisions(own.get("decisions")),
        tuple(_question(q) for q in questions if isinstance(q, dict)) if isinstance(questions, list) else (),
        number if isinstance(number, int) and not isinstance(number, bool) else 0,
        tuple(entry for entry in approvers if isinstance(entry, str)) if isinstance(approvers, list) else (),
    )


def _decisions(value: Json) -> tuple[Decision, ...]:
    known = [Decision(entry) for entry in value if entry in _NAMES] if isinstance(value, list) else []
    return tuple(known) or YES_OR_NO


_NAMES = frozenset(decision.value for decision in Decision)


def _encode_question(question: Question) -> Json:
    return {
        "id": question.id,
        "text": question.text,
        "header": question.header,
        "options": [{"label": o.label, "description": o.description} for o in question.options],
        "free": question.free,
        "several": question.several,
        "required": question.required,
        "kind": question.kind,
    }


def _question(value: Mapping[str, Json]) -> Question:
    options = value.get("options")
    return Question(
        _text(value, "id"),
        _text(value, "text"),
        _text(value, "header"),
        tuple(
            Option(_text(option, "label"), _text(option, "description"))
            for option in (options if isinstance(options, list) else [])
            if isinstance(option, dict)
        ),
        free=value.get("free") is not False,
        several=value.get("several") is True,
        required=value.get("required") is not False,
        kind=_kind(value.get("kind")),
    )


def _kind(value: Json) -> Literal["text", "number", "integer"]:
    match value:
        case "number":
            return "number"
        case "integer":
            return "integer"
        case _:
            return "text"


def _maybe_text(value: Mapping[str, Json], name: str) -> str | None:
    text = value.get(name)
    return text if isinstance(text, str) else None


def _text(value: Mapping[str, Json], name: str) -> str:
    return _maybe_text(value, name) or ""


# --- What was decided ----------------------------------------------------------------------------


def encode_decided(body: e.ApprovalDecided) -> dict[str, Json]:
    """Who decided, and what."""
    decided: dict[str, Json] = {"accepted": body.accepted, "by": body.by, "decision": body.decision.value}
    more: dict[str, Json] = {"why": body.why, "answer": body.answer}
    return {"approval": decided | {key: value for key, value in more.items() if value is not None}}


def decode_decided(ref: e.ToolRef, approval: Mapping[str, Json]) -> e.ApprovalDecided:
    """The same from a row, which may be older than the finer decisions."""
    named = approval.get("decision")
    plain = Decision.ACCEPT if approval.get("accepted") is True else Decision.DECLINE
    known = Decision(named) if isinstance(named, str) and named in _NAMES else plain
    by, why, answer = (_maybe_text(approval, name) for name in ("by", "why", "answer"))
    return e.ApprovalDecided(ref, known, by, why, answer)


# --- What a participant decides ------------------------------------------------------------------


def encode_choice(decision: Decision, answers: Answers) -> Json:
    """The metadata of `tool_call.approve` or `tool_call.reject`; nothing where the type says it all."""
    own: dict[str, Json] = {} if decision in YES_OR_NO else {"decision": decision.value}
    if answers:
        own["answers"] = {key: list[Json](answer) for key, answer in answers.items()}
    return {OWN: own} if own else None


def decode_choice(fields: Fields, accepted: bool) -> tuple[Decision, Answers]:
    """What is decided. Raises `WireError` for a decision that does not go with the message's type."""
    own = fields.object("metadata").get(OWN)
    choice = own if isinstance(own, dict) else {}
    named = choice.get("decision")
    if named is None:
        decision = Decision.ACCEPT if accepted else Decision.DECLINE
    elif isinstance(named, str) and named in _CHOICES[accepted]:
        decision = Decision(named)
    else:
        known = " or ".join(_CHOICES[accepted])
        raise WireError(f"{fields.type}: the decision must be {known}")
    return decision, _answers(fields, choice.get("answers"))


_CHOICES = {
    True: (Decision.ACCEPT.value, Decision.ACCEPT_FOR_SESSION.value),
    False: (Decision.DECLINE.value, Decision.CANCEL.value),
}


def _answers(fields: Fields, value: Json) -> Answers:
    if value is None:
        return NO_ANSWERS
    if not isinstance(value, dict) or len(value) > MAX_QUESTIONS:
        raise WireError(f"{fields.type}: answers must be an object with at most {MAX_QUESTIONS} questions")
    return {key: _texts(fields, answer) for key, answer in value.items()}


def _texts(fields: Fields, value: Json) -> tuple[str, ...]:
    texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(texts) != len(value) or len(texts) > MAX_QUESTIONS:
        raise WireError(f"{fields.type}: the answer to a question must be a list of texts")
    return tuple(texts)

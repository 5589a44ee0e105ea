"""Forms that MCP servers ask people to fill in: what they are asked, and their answers on the wire. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from process_agent.core.decisions import Answers, Decision, Option, Question

type Params = Mapping[str, Any]

MAX_FIELDS: Final = 20
"""Fields of a form that people can be expected to fill in by chat."""

YES: Final = "yes"
NO: Final = "no"


@dataclass(frozen=True, slots=True)
class Form:
    """The form of an MCP server; `values` are what the labels of its options stand for."""

    questions: tuple[Question, ...]
    values: Mapping[str, Mapping[str, Any]]

    def answered(self, answers: Answers, decision: Decision) -> dict[str, Any]:
        """The result to send."""
        if decision is Decision.ACCEPT:
            given = {q.id: self._value(q, answers[q.id]) for q in self.questions if answers.get(q.id)}
            return {"action": "accept", "content": given}
        # For MCP, `cancel` is a form that was put away without a choice.
        return {"action": "decline" if decision is Decision.DECLINE else "cancel"}

    def _value(self, question: Question, answer: tuple[str, ...]) -> Any:
        known = self.values.get(question.id, {})
        if question.several:
            return [known.get(text, text) for text in answer]
        if question.kind == "text":
            return known.get(answer[0], answer[0])
        return int(answer[0]) if question.kind == "integer" else float(answer[0])


def read_form(schema: object) -> Form | str:
    """The form in a JSON schema; why nobody can fill it in here, if so."""
    fields = _object(_object(schema).get("properties"))
    required = _list(_object(schema).get("required"))
    if not fields or len(fields) > MAX_FIELDS:
        return "it has no fields" if not fields else f"it has more than {MAX_FIELDS} fields"
    questions: list[Question] = []
    values: dict[str, dict[str, Any]] = {}
    for name, field in fields.items():
        read = _field(str(name), _object(field), name in required)
        if read is None:
            return f"its field {name} is neither a text, a number nor a choice"
        questions.append(read[0])
        values[str(name)] = read[1]
    return Form(tuple(questions), values)


def _field(name: str, field: Params, required: bool) -> tuple[Question, dict[str, Any]] | None:
    kind = field.get("type")
    header, text = (
        str(field.get("title") or name),
        str(field.get("description") or field.get("title") or name),
    )
    choices = _choices(field)
    if kind == "array":
        choices = _choices(_object(field.get("items")))
    if choices:
        options = tuple(Option(label) for label in choices)
        several = kind == "array"
        question = Question(name, text, header, options, free=False, several=several, required=required)
        return question, dict(choices)
    if kind not in ("string", "number", "integer"):
        return None
    return Question(name, text, header, required=required, kind=_kind(kind)), {}


def _choices(field: Params) -> dict[str, Any]:
    """Labels and what they stand for, in each of the ways in which a schema can say so."""
    if field.get("type") == "boolean":
        return {YES: True, NO: False}
    titled = _objects(field.get("oneOf")) or _objects(field.get("anyOf"))
    if titled:
        return {str(entry.get("title") or entry.get("const")): entry.get("const") for entry in titled}
    plain = [value for value in _list(field.get("enum")) if isinstance(value, str)]
    names = [str(name) for name in _list(field.get("enumNames"))]
    return dict(zip(names if len(names) == len(plain) else plain, plain, strict=True))


def _kind(kind: object) -> Literal["text", "number", "integer"]:
    match kind:
        case "number":
            return "number"
        case "integer":
            return "integer"
        case _:
            return "text"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]

"""Questions of Codex and of MCP servers: what people are asked, and their answers on the wire. Pure.

`item/tool/requestUserInput` comes from the model (0.163.0: in plan mode, and in default mode with the feature
`default_mode_request_user_input`), `mcpServer/elicitation/request` from an MCP server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from backends.codex.shapes import as_dict, as_list, dicts
from process_agent.core.decisions import Answers, Decision, Option, Question

type Params = Mapping[str, Any]

DECLINED: Final = "The person who was asked declined to answer."
UNANSWERED: Final = (
    "Nobody answered. Go on without an answer if you can, or ask in your final message and end the turn."
)

MAX_FIELDS: Final = 20
"""Fields of a form that people can be expected to fill in by chat."""

FORM_MODES: Final = ("form", "openai/form", "openaiForm")

YES: Final = "yes"
NO: Final = "no"


@dataclass(frozen=True, slots=True)
class SecretQuestion:
    """A question whose answer nobody else may see."""

    id: str
    name: str
    prompt: str


@dataclass(frozen=True, slots=True)
class UserInput:
    """Questions of the model."""

    questions: tuple[Question, ...]
    secrets: tuple[SecretQuestion, ...] = ()

    def answered(self, answers: Answers, decision: Decision) -> object:
        """The result to send. What was not answered says why, so that the model does not wonder."""
        why = UNANSWERED if decision in (Decision.UNANSWERED, Decision.ACCEPT) else DECLINED
        ids = [*(q.id for q in self.questions), *(s.id for s in self.secrets)]
        return {"answers": {key: {"answers": list(answers.get(key) or (why,))} for key in ids}}


@dataclass(frozen=True, slots=True)
class Form:
    """The form of an MCP server; `values` are what the labels of its options stand for."""

    questions: tuple[Question, ...]
    values: Mapping[str, Mapping[str, Any]]

    def answered(self, answers: Answers, decision: Decision) -> object:
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


def read_user_input(params: Params) -> UserInput | None:
    """What the model asks; None when there is no question in it."""
    plain: list[Question] = []
    secrets: list[SecretQuestion] = []
    for asked in dicts(params.get("questions")):
        key, text = str(asked.get("id") or ""), str(asked.get("question") or asked.get("header") or "")
        header = str(asked.get("header") or "")
        if asked.get("isSecret") is True:
            secrets.append(SecretQuestion(key, header or "a secret", text))
            continue
        options = tuple(
            Option(str(option.get("label") or ""), str(option.get("description") or ""))
            for option in dicts(asked.get("options"))
        )
        plain.append(Question(key, text, header, options, free=not options or asked.get("isOther") is True))
    return UserInput(tuple(plain), tuple(secrets)) if plain or secrets else None


def read_form(schema: object) -> Form | str:
    """The form in a JSON schema; why nobody can fill it in here, if so."""
    fields = as_dict(as_dict(schema).get("properties"))
    required = as_list(as_dict(schema).get("required"))
    if not fields or len(fields) > MAX_FIELDS:
        return "it has no fields" if not fields else f"it has more than {MAX_FIELDS} fields"
    questions: list[Question] = []
    values: dict[str, dict[str, Any]] = {}
    for name, field in fields.items():
        read = _field(str(name), as_dict(field), name in required)
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
        choices = _choices(as_dict(field.get("items")))
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
    titled = dicts(field.get("oneOf")) or dicts(field.get("anyOf"))
    if titled:
        return {str(entry.get("title") or entry.get("const")): entry.get("const") for entry in titled}
    plain = [value for value in as_list(field.get("enum")) if isinstance(value, str)]
    names = [str(name) for name in as_list(field.get("enumNames"))]
    return dict(zip(names if len(names) == len(plain) else plain, plain, strict=True))


def _kind(kind: object) -> Literal["text", "number", "integer"]:
    match kind:
        case "number":
            return "number"
        case "integer":
            return "integer"
        case _:
            return "text"

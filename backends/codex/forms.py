"""Questions of Codex: what people are asked, and their answers on the wire; forms are `core.forms`. Pure.

`item/tool/requestUserInput` comes from the model (0.163.0: in plan mode, and in default mode with the feature
`default_mode_request_user_input`), `mcpServer/elicitation/request` from an MCP server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.codex.shapes import dicts
from process_agent.core.decisions import Answers, Decision, Option, Question

type Params = Mapping[str, Any]

DECLINED: Final = "The person who was asked declined to answer."
UNANSWERED: Final = (
    "Nobody answered. Go on without an answer if you can, or ask in your final message and end the turn."
)

FORM_MODES: Final = ("form", "openai/form", "openaiForm")


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

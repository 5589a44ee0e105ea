"""Keeps credentials out of service documents, which are stored, shown and committed in clear."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from process_agent.core.content import Json
from process_agent.core.redaction.keys import spans_of_keys
from process_agent.errors import UsageError

SHORTEST = 8
"""Characters below which a value of the environment is no credential but a placeholder like `none`."""

_FORMS = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}"  # model providers
    r"|\bma-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+-[A-Za-z0-9_.]{8,}"  # MeshAgent API keys
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"  # JWTs
    r"|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
)
"""Wider than the forms of `core.redaction`, which must not cover what people write about keys."""


def refuse_credentials(document: Json, known: Iterable[str | None]) -> None:
    """Raise `UsageError` when a text of the document holds one of the `known` credentials, or what has the
    form of one. The error does not quote it.
    """
    values = [value for value in known if value is not None and len(value) >= SHORTEST]
    for place, text in _texts(document, ""):
        if _has_form(text) or any(value in text for value in values):
            raise UsageError(
                f"There is a key or a token in {place} of the service document, where many can read it.",
                fix="Leave it out; name a secret of the project with --secret NAME=ID and --run-as EMAIL.",
            )


_CODES = re.compile(r"#code=[A-Za-z0-9_-]+")
"""What opens a link of Studio, once."""

_SECRET_NAMES = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)

HIDDEN = "[hidden]"
"""What stands in a log for a credential."""


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables that are credentials by their name."""
    return tuple(value for name, value in environment.items() if is_secret_name(name))


def is_secret_name(variable: str) -> bool:
    """Whether a variable of this name holds a credential."""
    return _SECRET_NAMES.search(variable) is not None


def hide_credentials(text: str, known: Iterable[str]) -> str:
    """A line of a log without the `known` credentials, and without what has the form of one."""
    for value in sorted(known, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    text = _FORMS.sub(HIDDEN, text)
    for start, end in sorted(spans_of_keys(text), reverse=True):
        text = text[:start] + HIDDEN + text[end:]
    return _CODES.sub(f"#code={HIDDEN}", text)


def _has_form(text: str) -> bool:
    return _FORMS.search(text) is not None or next(spans_of_keys(text), None) is not None


def _texts(value: Json, place: str) -> Iterator[tuple[str, str]]:
    """Every text below a value, and where it is, like `container.command`."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts(part, f"{place}[{number}]")

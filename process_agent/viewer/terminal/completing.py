"""How a slash command that is being typed can go on. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from process_agent.core.models import ProviderModels
from process_agent.core.store import ThreadEntry
from process_agent.viewer.terminal.commands import COMMANDS, DIFFS
from process_agent.viewer.terminal.naming import model_names


def completions(
    text: str,
    providers: Sequence[ProviderModels],
    listed: Sequence[ThreadEntry],
    files: Sequence[str] = (),
    attached: Sequence[str] = (),
) -> Iterator[tuple[str, str, int]]:
    """Completions of the text before the cursor as (word, explanation, length of what it replaces). `files`
    are the names of what was shown, `attached` of what waits for the next message.
    """
    if not text.startswith("/") or "\n" in text:
        return
    name, space, rest = text.partition(" ")
    if not space:
        for command, (argument, explanation) in COMMANDS.items():
            if command.startswith(name):
                yield command, f"{argument}  {explanation}".strip(), len(name)
    elif name in ("/model", "/retry"):
        yield from _model_completions(rest, providers)
    elif name == "/diff":
        yield from ((word, "", len(rest)) for word in DIFFS if word.startswith(rest))
    elif name == "/detach":
        yield from ((file, "", len(rest)) for file in attached if file.startswith(rest))
    elif name == "/save":
        typed = rest.lstrip("'")
        yield from ((shlex.quote(file), "", len(rest)) for file in files if file.startswith(typed))
    elif name == "/open":
        yield from _thread_completions(rest, listed)


def _model_completions(typed: str, providers: Sequence[ProviderModels]) -> Iterator[tuple[str, str, int]]:
    for word, provider, model in model_names(providers):
        if typed.casefold() in word.casefold():
            yield word, model.friendly_name or provider.friendly_name, len(typed)


def _thread_completions(typed: str, listed: Sequence[ThreadEntry]) -> Iterator[tuple[str, str, int]]:
    for number, entry in enumerate(listed, 1):
        if str(number).startswith(typed) or typed.casefold() in entry.name.casefold():
            yield str(number), entry.name, len(typed)

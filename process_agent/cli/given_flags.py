"""The flags of `process spec` that the agent of the service gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

OF_THE_SERVICE = frozenset(
    ("service_name", "service_description", "image", "secret", "run_as", "json", "rules_file", "models_file")
)
"""Options that `process join` does not have, and those that are written anew for the container."""


def given(context: typer.Context) -> Iterator[str]:
    """The flags that were given and that `process join` has too, in the order of its help, with the values
    they were understood as: no text of the command line is taken for anything else.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        source = getattr(context.get_parameter_source(name), "name", "")
        if name in OF_THE_SERVICE or source not in ("COMMANDLINE", "DEFAULT_MAP"):  # the latter: process.toml
            continue
        flag = max(parameter.opts, key=len)
        value = context.params[name]
        if value is False and parameter.secondary_opts and f"--no{flag[1:]}" not in parameter.secondary_opts:
            yield max(parameter.secondary_opts, key=len)
            continue
        for one in value if isinstance(value, list | tuple) else (value,):
            yield from _words(flag, one)


def _words(flag: str, value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (flag,) if value else ()
    text = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return (f"{flag}={text}",) if text.startswith("-") else (flag, text)

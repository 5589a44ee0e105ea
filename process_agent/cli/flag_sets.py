"""Giving several commands the same flags, and telling what was typed from what a file said."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def with_flags[F: Callable[..., None]](
    *sources: Callable[..., None], left_out: Collection[str] = ()
) -> Callable[[F], F]:
    """Decorate a command `(context, …, **_more)` with the parameters of `sources` as well, in order; its own
    come last, and win. `left_out` are those of the sources that it does not get.

    The values are in `context.params`: typer reads the signature, and calls the command with all of them.
    """

    def decorate(command: F) -> F:
        found = {
            name: each
            for source in sources
            for name, each in inspect.signature(source, eval_str=True).parameters.items()
            if name not in left_out
        }
        for name, each in inspect.signature(command, eval_str=True).parameters.items():
            if each.kind is not inspect.Parameter.VAR_KEYWORD:
                found.pop(name, None)
                found[name] = each
        # By name only, so that arguments without a default may follow flags that have one.
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in found.values()]
        command.__annotations__.clear()
        command.__annotations__.update({name: each.annotation for name, each in found.items()})
        vars(command)["__signature__"] = inspect.Signature(parameters)
        return command

    return decorate


def typed(context: typer.Context, name: str) -> bool:
    """Whether somebody typed this flag: it is neither built in nor the word of a `process.toml`."""
    return _source(context, name) == "COMMANDLINE"


def of_a_file(context: typer.Context, name: str) -> bool:
    """Whether this value is the word of a `process.toml`."""
    return _source(context, name) == "DEFAULT_MAP"


def _source(context: typer.Context, name: str) -> str:
    return str(getattr(context.get_parameter_source(name), "name", ""))

"""`--profile`, and values of `process.toml` as defaults of flags: put onto the commands as typer made them.

In this order, the first that says something counts: flag, environment, file, what is built in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperOption

from process_agent import config
from process_agent.cli.settings_places import Places, profile_named

if TYPE_CHECKING:
    from typer._click import Command, Context, Parameter

    from process_agent.cli.settings_file import Entry, Kind
    from process_agent.cli.settings_layers import Found

VARIABLE: Final = "PROCESS_PROFILE"

AGENT_COMMANDS: Final = (("join",), ("run",), ("spec",), ("deploy",), ("doctor",), ("service", "serve"))
"""Commands for which everything counts that their flags can say."""

SERVICE_COMMANDS: Final = (("spec",), ("deploy",))
"""Commands whose flags may name places of a container, and therefore take texts."""

ELSEWHERE: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {("service", "serve"): ("port",)}
"""Flags of a command that have the name of a key, and mean something else."""

SHARED: Final = ("room", "agent-name", "local", "data-dir", "project-id")
"""What counts for every other command that has the flag."""

ENVIRONMENT: Final[Mapping[str, str]] = {
    "room": "MESHAGENT_ROOM",
    "project-id": "MESHAGENT_PROJECT_ID",
    "data-dir": "PROCESS_DATA_DIR",
    "codex-home": "CODEX_HOME",
    "models-file": "PROCESS_MODELS",
}
"""Variables that come before a file, by the key they stand for."""

USED: Final = "process.settings"
"""Where a command's context has what `Used` says."""

NOT_KEPT: Final = frozenset(("json", "help", "profile"))
DEPLOYED: Final = ("image", "run-as")
"""Keys that only `spec` and `deploy` have."""

_PLACES: Final = (("path", "text"), ("paths", "list"))
"""Kinds of a key, and of an option that takes such a place as it is written."""


@dataclass(frozen=True, slots=True)
class Used:
    """What files said for a command: the profile, what was found, and the values before the environment."""

    profile: str | None
    found: Found
    values: Mapping[str, Entry]


def attach(root: Command) -> None:
    """Give every command that files can say something to `--profile`, and `--no-…` for its switches."""
    known = known_keys(root)
    places = Places(config.settings_folder(), config.work_folder())
    for path, command, above in commands_of(root, known):
        keys = keys_of(path, command, known)
        if not keys:
            continue
        if places.any:
            _make_switches({key: option for key, option in keys.items() if key not in above})
        command.params.append(_option(path, known, above))


def commands_of(
    command: Command,
    known: Mapping[str, Kind],
    path: tuple[str, ...] = (),
    above: frozenset[str] = frozenset(),
) -> Iterator[tuple[tuple[str, ...], Command, frozenset[str]]]:
    """All commands and groups below one, with their words and the keys that a group above has options for."""
    if path:
        yield path, command, above
        above |= keys_of(path, command, known).keys()
    commands: Mapping[str, Command] = getattr(command, "commands", {})
    for name, below in commands.items():
        yield from commands_of(below, known, (*path, name), above)


def known_keys(root: Command) -> dict[str, Kind]:
    """The keys of a file: the long flags of `process join`, and what a deployed agent has besides."""
    commands: Mapping[str, Command] = getattr(root, "commands", {})
    found: dict[str, Kind] = {}
    for name, keys in (("join", None), ("spec", DEPLOYED)):
        for parameter in commands[name].params if name in commands else ():
            key = key_of(parameter)
            if key is not None and key not in NOT_KEPT and (keys is None or key in keys):
                found.setdefault(key, kind_of(parameter))
    return found


def key_of(parameter: Parameter) -> str | None:
    """The long flag of an option without its dashes; None for an argument."""
    flags = [flag for flag in parameter.opts if flag.startswith("--")]
    return flags[0].removeprefix("--") if flags else None


def kind_of(parameter: Parameter) -> Kind:
    """What a file has to say for an option."""
    name = parameter.type.name
    if getattr(parameter, "is_flag", False):
        return "switch"
    if getattr(parameter, "multiple", False):
        return "paths" if name in ("path", "file") else "list"
    kinds: Mapping[str, Kind] = {"int": "integer", "float": "number", "path": "path", "file": "path"}
    return kinds.get(name.split()[0], "text")


def keys_of(path: tuple[str, ...], command: Command, known: Mapping[str, Kind]) -> dict[str, Parameter]:
    """The options of a command that files can say something to, by key."""
    found = {}
    for parameter in command.params:
        key = key_of(parameter)
        if key is None or key not in known or key in ELSEWHERE.get(path, ()):
            continue
        if path not in AGENT_COMMANDS and key not in SHARED:
            continue
        kind = kind_of(parameter)
        if kind == known[key] or (path in SERVICE_COMMANDS and (known[key], kind) in _PLACES):
            found[key] = parameter
    return found


def defaults(values: Mapping[str, Entry], keys: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values for the options of a command; the environment comes before them."""
    said = {key for key, variable in ENVIRONMENT.items() if config.variable(variable)}
    said |= {"room"} if _token_names_room() else set()
    return {
        str(keys[key].name): entry.value for key, entry in values.items() if key in keys and key not in said
    }


def _token_names_room() -> bool:
    from process_agent.rooms.tokens import read_claims

    token = config.variable("MESHAGENT_TOKEN")
    claims = read_claims(token) if token else None
    return claims is not None and claims.room is not None


def _option(path: tuple[str, ...], known: Mapping[str, Kind], above: frozenset[str]) -> TyperOption:
    def apply(context: Context, option: Parameter, value: str | None) -> str | None:
        from process_agent.cli.settings_layers import find

        profile, counts = profile_named(value, config.variable(VARIABLE))
        places = Places(config.settings_folder(), config.work_folder())
        if not counts or (profile is None and not places.any):
            return value
        found = find(places, known)
        values, keys = found.values(profile), keys_of(path, context.command, known)
        if found.untrusted is not None:
            _say_untrusted(str(found.untrusted))
        _check_values(values, keys)
        context.default_map = defaults(values, _left(context, keys, above, named=value is not None))
        context.meta[USED] = Used(profile, found, values)
        return value

    return TyperOption(
        param_decls=["--profile"],
        type=str,
        metavar="NAME",
        help="Profile of process.toml; none: no such file counts. [default: $PROCESS_PROFILE]",
        expose_value=False,
        is_eager=True,
        callback=apply,
    )


def _left(
    context: Context, keys: dict[str, Parameter], above: frozenset[str], *, named: bool
) -> dict[str, Parameter]:
    """The options that files say something to here. What the group above has as well, it has said already:
    its flags come before files. A profile that is named here says it anew, but for flags of the group.
    """
    group = context.parent
    if not above or group is None:
        return keys
    given = {
        parameter.name
        for parameter in group.command.params
        if (source := group.get_parameter_source(parameter.name or "")) is not None
        and source.name == "COMMANDLINE"
    }
    return {
        key: option
        for key, option in keys.items()
        if key not in above or (named and option.name not in given)
    }


def _check_values(values: Mapping[str, Entry], keys: Mapping[str, Parameter]) -> None:
    """Raise `UsageError` with file and line for a value that its option would not take, like a port of -1."""
    from typer._click.exceptions import BadParameter

    from process_agent.errors import UsageError

    for key, entry in values.items():
        if key in keys and isinstance(entry.value, int | float | str):
            try:
                keys[key].type.convert(entry.value, keys[key], None)
            except BadParameter as error:
                raise UsageError(f"{entry.place}: {key} cannot be used: {error.message}") from error


def _make_switches(keys: Mapping[str, Parameter]) -> None:
    """A switch that a file turned on can be turned off again."""
    for key, parameter in keys.items():
        if getattr(parameter, "is_flag", False) and not parameter.secondary_opts:
            parameter.secondary_opts = [f"--no-{key}"]


def _say_untrusted(path: str) -> None:
    import typer

    from process_agent.viewer.terminal.plain import printable

    typer.echo(
        f"process: {printable(path)} is not used: it is not trusted. Read it, then `process config trust`.",
        err=True,
    )

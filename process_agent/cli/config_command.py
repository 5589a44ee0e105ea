"""`process config`: where each setting comes from, and which files may say something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from process_agent.cli.settings_file import Entry
    from process_agent.cli.settings_places import Places

app = typer.Typer(
    help="Settings: where each value comes from, and which files count.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

SECRETS: Final = (
    *("MESHAGENT_TOKEN", "MESHAGENT_API_KEY", "MESHAGENT_SECRET", "MESHAGENT_OAUTH_CLIENT_SECRET"),
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "XAI_API_KEY", "SMTP_PASSWORD", "MESHAGENT_WEBHOOK_SECRET"),
)
"""Variables of which only is said that they are set."""

PLAIN: Final = (
    *("MESHAGENT_API_URL", "MESHAGENT_ROOM_URL", "MESHAGENT_OAUTH_CLIENT_ID", "OPENAI_BASE_URL"),
    *("ANTHROPIC_BASE_URL", "XAI_BASE_URL", "PROCESS_PROVIDERS", "PROCESS_CODEX_BINARY", "PROCESS_PROFILE"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "SMTP_HOSTNAME", "SMTP_USERNAME"),
    *("MESHAGENT_HOST", "MESHAGENT_PORT"),
)
HIDDEN: Final = "(set, not shown)"


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting. `source` is flag, environment, file or default; `place` the variable, or file and line."""

    name: str
    value: Any
    source: str
    place: str | None = None


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Revoke = Annotated[bool, typer.Option("--revoke", help="Do not trust it any more.")]


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    short_help="Print each setting of `process join`, with where it comes from.",
)
def show(context: typer.Context, json: AsJson = False) -> None:
    """Print what `process join` would run with here, and where each value comes from: a flag given after
    `show`, the environment, file and line of a process.toml, or what is built in.

    Keys and tokens are not shown.
    """
    from process_agent import config
    from process_agent.cli import profiles
    from process_agent.cli.settings_places import Places

    parsed = _parsed(context)
    used = parsed.meta.get(profiles.USED)
    shown = [*settings(parsed, {} if used is None else used.values), *variables()]
    files = _files(Places(config.settings_folder(), config.work_folder()), used)
    profile = None if used is None else used.profile
    if json:
        from json import dumps

        print(
            dumps(
                {
                    "profile": profile,
                    "files": [{"path": path, "state": state} for path, state in files],
                    "settings": [asdict(each) for each in shown],
                }
            )
        )
        return
    for path, state in files:
        typer.echo(f"{path}: {state}")
    if profile is not None:
        typer.echo(f"profile: {profile}")
    typer.echo(as_text(shown))


@app.command(short_help="Let the process.toml of this folder count, as it is now.")
def trust(revoke: Revoke = False) -> None:
    """Let the process.toml of the working folder count, with the content that is printed; when it changes,
    it has to be trusted again.

    Whoever wrote it decides about sandbox, approvals, tools and where models are: read it.
    """
    from process_agent import config
    from process_agent.cli import profiles
    from process_agent.cli.settings_file import parse
    from process_agent.cli.settings_layers import read
    from process_agent.cli.settings_layers import trust as keep
    from process_agent.cli.settings_places import Places
    from process_agent.cli.tree import command
    from process_agent.errors import UsageError
    from process_agent.viewer.terminal.plain import printable

    places = Places(config.settings_folder(), config.work_folder())
    path = places.here
    if path is None or (not revoke and not path.exists()):
        raise UsageError("There is no process.toml in this folder that would have to be trusted.")
    if revoke:
        keep(places, None)
        typer.echo(f"{path} does not count any more.")
        return
    content = read(path)
    parse(content.decode(errors="replace"), path, profiles.known_keys(command()))
    typer.echo(printable(content.decode(errors="replace")))
    keep(places, content)
    typer.echo(f"{path} counts from now on, as it is printed here. --revoke takes that back.", err=True)


def settings(parsed: typer.Context, values: Mapping[str, Entry]) -> Iterator[Shown]:
    """The settings of a command whose flags are parsed."""
    from process_agent import config
    from process_agent.cli import profiles

    for parameter in parsed.command.params:
        key = profiles.key_of(parameter)
        if key is None or key in profiles.NOT_KEPT or parameter.name is None:
            continue
        source, value = parsed.get_parameter_source(parameter.name), parsed.params.get(parameter.name)
        variable = profiles.ENVIRONMENT.get(key)
        if source is not None and source.name == "COMMANDLINE":
            yield Shown(key, plain(value), "flag", f"--{key}")
        elif variable is not None and (given := config.variable(variable)):
            yield Shown(key, plain(given), "environment", variable)
        elif source is not None and source.name == "DEFAULT_MAP":
            yield Shown(key, plain(value), "file", values[key].place)
        else:
            yield Shown(key, plain(value), "default")
    for key in profiles.DEPLOYED:
        entry = values.get(key)
        yield Shown(key, None, "default") if entry is None else Shown(key, entry.value, "file", entry.place)


def variables() -> Iterator[Shown]:
    """What the environment says besides; of secrets, that they are set."""
    from process_agent import config

    for name in PLAIN:
        if given := config.variable(name):
            yield Shown(name, plain(given), "environment", name)
    for name in SECRETS:
        if config.variable(name):
            yield Shown(name, HIDDEN, "environment", name)


def plain(value: object) -> object:
    """A value as it can be shown: what looks like a key is left out, addresses lose their passwords."""
    from pathlib import Path

    from process_agent.cli.checkup.facts import plain_address
    from process_agent.core.discretion import without_secrets

    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        return value
    name, equals, rest = value.partition("=")
    if rest.startswith(("http://", "https://")):
        return without_secrets(f"{name}{equals}{plain_address(rest)}", ())
    if value.startswith(("http://", "https://", "ws://", "wss://")):
        value = plain_address(value)
    return without_secrets(value, ())


def as_text(shown: Sequence[Shown]) -> str:
    """One line each: name, value, source."""
    from process_agent.viewer.terminal.plain import printable

    width = max(len(each.name) for each in shown)
    texts = [printable(_text(each.value)) for each in shown]
    values = min(40, max(map(len, texts)))
    return "\n".join(
        f"{each.name:<{width}}  {text:<{values}}  {_from(each)}"
        for each, text in zip(shown, texts, strict=True)
    )


def _from(shown: Shown) -> str:
    match shown.source:
        case "environment":
            return f"environment {shown.place}"
        case "file":
            return str(shown.place)
        case source:
            return source


def _text(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _parsed(context: typer.Context) -> typer.Context:
    """The context of `process join` with the flags that were given after `show`."""
    from process_agent.errors import UsageError

    root = context.find_root()
    join = getattr(root.command, "commands", {})["join"]
    parsed: typer.Context = join.make_context("join", list(context.args), parent=root)
    if parsed.args:
        raise UsageError(f"{parsed.args[0]!r} is no flag of `process join`.")
    return parsed


def _files(places: Places, used: Any) -> list[tuple[str, str]]:
    """The files there are, and whether they count."""
    counted = set() if used is None else {file.path for file in used.found.files}
    untrusted = None if used is None else used.found.untrusted
    return [
        (
            str(path),
            "counts"
            if path in counted
            else "not trusted, does not count"
            if path == untrusted
            else "left aside",
        )
        for path in (places.here, places.own)
        if path is not None and path.exists()
    ]

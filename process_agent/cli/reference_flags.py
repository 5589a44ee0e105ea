"""Flags of MeshAgent's own command line: what they are called here, and why some are not taken. Pure.

Scripts that were written for it go on to work, or are told what to write instead. None of these names is in
the help: the name that is there says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from process_agent.errors import UsageError

ALIASES: Final[Mapping[str, str]] = {
    "--use-web-search": "--web-search",
    "--use-storage": "--storage",
    "--require-web-search": "--web-search",
    "--require-web-fetch": "--web-fetch",
    "--require-storage": "--storage",
    "--require-read-only-storage": "--read-only-storage",
    "--require-mcp": "--mcp",
    "--require-shell": "--shell",
    "--require-advanced-shell": "--advanced-shell",
    "--require-image-generation": "--image-generation",
    "--working-directory": "--working-dir",
}
"""Other names of flags that we have."""

OFF: Final[Mapping[str, str]] = {
    "--no-shell": "--shell",
    "--no-storage": "--storage",
    "--no-mcp": "--mcp",
    "--no-web-search": "--web-search",
    "--no-web-fetch": "--web-fetch",
    "--no-use-web-search": "--web-search",
    "--no-use-storage": "--storage",
    "--no-use-image-gen": "--image-generation",
}
"""What switches off that is off anyway, by what switches it on."""

AS_IT_IS: Final = frozenset(
    {
        *("--no-apply-patch", "--no-computer-use", "--no-script-tool", "--no-discover-script-tools"),
        *("--no-delegate-shell-token", "--no-log-llm-requests", "--no-preamble-rule", "--no-time"),
        *("--always-reply", "--no-always-reply"),
    }
)
"""Flags without a value that say what is so in any case."""

ROLE: Final = "--role"
AGENT: Final = "agent"

_AUDIO: Final = "text, images and files are what agents take here; there is no voice."
_MOUNTS: Final = "commands run in a sandbox on this machine and have its files; there are no mounts."
_TABLES: Final = "models have no tools on the room's tables; --require-toolkit offers a toolkit of the room."
_COMPUTER: Final = "there is no browser for models to use; --web-fetch reads pages."
_DELEGATED: Final = "models are asked by this agent itself: with your keys, or through MeshAgent's proxy."
_CONTEXT: Final = (
    "a conversation is shortened when its model's window (--models-file) is full, or by /compact."
)
_SCHEMAS: Final = "the room's schemas are not used; `process chat --output-schema FILE` holds for one turn."

REFUSED: Final[Mapping[str, str]] = {
    "--apply-patch": "--shell and --advanced-shell let models change files, with patches too.",
    "--computer-use": _COMPUTER,
    "--starting-url": _COMPUTER,
    "--allow-goto-url": _COMPUTER,
    "--script-tool": "scripts of the room are no tools here; --shell runs commands.",
    "--discover-script-tools": "scripts of the room are no tools here; --shell runs commands.",
    "--discovery": "--tool-search room finds tools of the room.",
    "--document-authoring": "models have no tools on synchronised documents.",
    "--require-document-authoring": "models have no tools on synchronised documents.",
    "--time": "models have no clock of their own; commands of --shell have `date`.",
    "--uuid": "models have no tool for it; commands of --shell have `uuidgen`.",
    "--table-read": _TABLES,
    "--table-write": _TABLES,
    "--dataset-namespace": _TABLES,
    "--database-namespace": _TABLES,
    "--use-memory": "models have no memory beside their threads.",
    "--memory-model": "models have no memory beside their threads.",
    "--schema": _SCHEMAS,
    "-s": _SCHEMAS,
    "--preamble-rule": "no rule is added of itself; --rule TEXT adds yours.",
    "--decision-model": "threads are named by the model that answers in them.",
    "--llm-participant": _DELEGATED,
    "--llm-delegation": _DELEGATED,
    "--max-output-tokens": "models answer as long as their providers let them.",
    "--compaction-threshold": _CONTEXT,
    "--context-management": _CONTEXT,
    "--use-image-gen": "name the model: --image-generation MODEL, like gpt-image-1.",
    "--shell-image": "commands run in Codex's sandbox on this machine, not in a container.",
    "--shell-image-mount": _MOUNTS,
    "--shell-room-mount": _MOUNTS,
    "--shell-empty-dir-mount": _MOUNTS,
    "--shell-tool-config-mount": _MOUNTS,
    "--storage-tool-local-path": _MOUNTS,
    "--storage-tool-room-path": _MOUNTS,
    "--shell-copy-env": "commands get the agent's environment without its keys; set what they need there.",
    "--shell-set-env": "commands get the agent's environment without its keys; set what they need there.",
    "--delegate-shell-token": "commands never get a token of the room.",
    "--key": "others on this machine can read a command line; set MESHAGENT_API_KEY.",
    "--host": "an agent serves nothing; the channel websocket:PORT does, and --websocket-open opens it.",
    "--path": "an agent serves nothing; the channel websocket:PORT does.",
    "--log-llm-requests": "what is said to models is not logged: it holds people's words.",
    "--profile": "`make bench` measures turns.",
    "--verbose": "what matters is shown; the agent's log is on stderr with `process join`.",
    "--verbose-dataset": "rows hold whole items; `process chat --json` shows every message as it comes.",
    "--save-audio-input": _AUDIO,
    "--voice": _AUDIO,
    "--turn-detection": _AUDIO,
    "--realtime-protocol": _AUDIO,
    "--output-modality": _AUDIO,
    "--transcription-model": _AUDIO,
    "--input-audio-format": _AUDIO,
    "--input-audio-sample-rate": _AUDIO,
    "--input-audio-bitrate": _AUDIO,
    "--output-audio-format": _AUDIO,
    "--output-audio-sample-rate": _AUDIO,
    "--output-audio-bitrate": _AUDIO,
}
"""Flags that have no effect here, and what there is instead."""

_IN_ITS_ROOM: Final = (
    "process use talks to an agent in its room; programs of the websocket channel are clients of their own."
)

OF_USE: Final[Mapping[str, str]] = {"--websocket-url": _IN_ITS_ROOM, "--websocket-auth": _IN_ITS_ROOM}
"""Flags of the published `process use` that ours does not take, and why."""


def refuse(args: Iterable[str], with_value: frozenset[str]) -> None:
    """Raise `UsageError` for a flag that `process use` does not take, with the reason. `with_value` are the
    options that take a value, which may look like a flag.
    """
    for name, _ in _names(iter(args), with_value):
        if (why := OF_USE.get(name)) is not None:
            raise UsageError(f"{name} is not taken here: {why}")


def rewritten(args: Iterable[str], flags: frozenset[str], with_value: frozenset[str]) -> list[str]:
    """The arguments with our own names: `flags` are all options of the command, `with_value` those that take
    one. Values stay as they are, whatever they look like, and so does all behind `--`.

    Raises `UsageError` for a flag that is not taken, with the reason.
    """
    given = list(args)
    found = list(_rewritten(iter(given), flags, with_value))
    names = {name for name, _ in _names(iter(found), with_value)}
    for name, _ in _names(iter(given), with_value):
        if (on := OFF.get(name)) is not None and name not in flags and on in names:
            raise UsageError(f"{name} and {on} contradict each other.")
    return found


def _rewritten(args: Iterator[str], flags: frozenset[str], with_value: frozenset[str]) -> Iterator[str]:
    for name, written in _names(args, with_value):
        word = written[0]
        if not name or name in flags:
            yield from written
        elif name == ROLE:
            role = word.partition("=")[2] if "=" in word else next(args, "")
            if role != AGENT:
                raise UsageError(f"{ROLE} cannot be {role!r}: who joins with this command is an agent.")
        elif (ours := ALIASES.get(name)) is not None and ours in flags:
            yield ours + word.removeprefix(name)
            if ours in with_value and "=" not in word and (value := next(args, None)) is not None:
                yield value
        elif (why := REFUSED.get(name)) is not None:
            raise UsageError(f"{name} is not taken here: {why}")
        elif name not in AS_IT_IS and name not in OFF:
            yield from written


def _names(args: Iterator[str], with_value: frozenset[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each option's name with the words it takes; other words have no name, and so has all behind `--`."""
    for word in args:
        if word == "--":
            yield "", (word,)
            yield from (("", (rest,)) for rest in args)
            return
        name = word.partition("=")[0] if word.startswith("--") else word
        if not word.startswith("-"):
            yield "", (word,)
        elif name in with_value and name == word and (value := next(args, None)) is not None:
            yield name, (word, value)
        else:
            yield name, (word,)

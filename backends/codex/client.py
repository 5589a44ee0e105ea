"""The calls of the app-server that are used here, with the shapes of its schema (0.163.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from backends.codex.app_server import AppServer
from backends.codex.shapes import as_dict, dicts
from process_agent.errors import BackendError, ProcessError, WireError
from process_agent.io.child import Child, Command
from process_agent.wire import ndjson

STOP_TIMEOUT: Final = 5.0
"""0.163.0 sometimes never answers an interrupt (page section 5)."""

PROBE_TIMEOUT: Final = 20.0
MAX_MODELS: Final = 200
MAX_ITEMS: Final = 5_000
MAX_THREADS: Final = 5_000
MAX_MCP_SERVERS: Final = 50


async def start_thread(server: AppServer, params: dict[str, Any]) -> str:
    """`thread/start`; returns the id of the Codex thread."""
    return str(_thread(await server.request("thread/start", params))["id"])


async def resume_thread(server: AppServer, params: dict[str, Any]) -> dict[str, Any]:
    """`thread/resume`; returns the thread, with `id` and `path`, the file of its record."""
    return _thread(await server.request("thread/resume", params))


async def fork_thread(server: AppServer, params: dict[str, Any]) -> dict[str, Any]:
    """`thread/fork`; returns the new thread, with `id` and `path`."""
    return _thread(await server.request("thread/fork", params))


def _thread(answer: dict[str, Any]) -> dict[str, Any]:
    thread = as_dict(answer.get("thread"))
    if not isinstance(thread.get("id"), str):
        raise BackendError("Codex opened a thread and did not say its id.")
    return thread


async def read_thread(server: AppServer, codex_thread: str) -> dict[str, Any]:
    """`thread/read` without turns: what is known of a thread, which need not be loaded."""
    answer = await server.request("thread/read", {"threadId": codex_thread})
    return as_dict(answer.get("thread"))


async def list_turns(server: AppServer, codex_thread: str, limit: int) -> list[dict[str, Any]]:
    """`thread/turns/list`: the last turns, newest first, with the messages of people and the last answer."""
    answer = await server.request("thread/turns/list", {"threadId": codex_thread, "limit": limit})
    return dicts(answer.get("data"))


async def list_threads(server: AppServer, folder: str) -> list[dict[str, Any]]:
    """`thread/list`: the threads of a folder that are not archived, of all programs, newest first."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"cwd": folder, "modelProviders": [], "sortKey": "updated_at", "limit": 100}
    while len(found) < MAX_THREADS:
        page = await server.request("thread/list", params)
        found += dicts(page.get("data"))
        if not page.get("nextCursor"):
            break
        params["cursor"] = page["nextCursor"]
    return found


async def list_whole_turns(server: AppServer, codex_thread: str, limit: int) -> list[dict[str, Any]]:
    """`thread/turns/list` with all items: the last turns, oldest first."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"threadId": codex_thread, "itemsView": "full", "limit": 50}
    while len(found) < limit:
        page = await server.request("thread/turns/list", params)
        found += dicts(page.get("data"))
        if not page.get("nextCursor"):
            break
        params["cursor"] = page["nextCursor"]
    return found[:limit][::-1]


async def list_items(server: AppServer, codex_thread: str, turn: str) -> list[dict[str, Any]]:
    """`thread/items/list`: the items of one turn that were completed, at most `MAX_ITEMS` of them."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"threadId": codex_thread, "turnId": turn, "limit": 100}
    while len(found) < MAX_ITEMS:
        page = await server.request("thread/items/list", params)
        found += [as_dict(entry.get("item")) for entry in dicts(page.get("data"))]
        if not page.get("nextCursor"):
            break
        params["cursor"] = page["nextCursor"]
    return found


async def revert_thread(server: AppServer, codex_thread: str, before: str) -> None:
    """`thread/revert`: drop this turn and all later ones. The thread has to be loaded, and is loaded anew;
    what was injected before the turn stays (tried with 0.163.0).
    """
    await server.request("thread/revert", {"threadId": codex_thread, "beforeTurnId": before})


async def inject_items(server: AppServer, codex_thread: str, items: Sequence[dict[str, Any]]) -> None:
    """`thread/inject_items`: append to what the model sees."""
    await server.request("thread/inject_items", {"threadId": codex_thread, "items": list(items)})


async def compact_thread(server: AppServer, codex_thread: str) -> None:
    """`thread/compact/start`; a `turn/started` with the id of its turn follows."""
    await server.request("thread/compact/start", {"threadId": codex_thread})


async def change_model(server: AppServer, codex_thread: str, model: str) -> None:
    """`thread/settings/update`: the model of what follows on the thread."""
    await server.request("thread/settings/update", {"threadId": codex_thread, "model": model})


async def start_turn(
    server: AppServer,
    codex_thread: str,
    items: list[dict[str, Any]],
    settings: Mapping[str, Any],
) -> str:
    """`turn/start`; returns the id of the Codex turn. Most settings stay for later turns."""
    params = {"threadId": codex_thread, "input": items, **settings}
    turn = as_dict((await server.request("turn/start", params)).get("turn"))
    if not isinstance(turn.get("id"), str):
        raise BackendError("Codex started a turn and did not say its id.")
    return str(turn["id"])


async def steer_turn(server: AppServer, codex_thread: str, turn: str, items: list[dict[str, Any]]) -> None:
    """`turn/steer`; fails when another turn runs, or none."""
    params = {"threadId": codex_thread, "expectedTurnId": turn, "input": items}
    await server.request("turn/steer", params, urgent=True)


async def interrupt_turn(server: AppServer, codex_thread: str, turn: str) -> None:
    """`turn/interrupt`, never waited for without a limit."""
    params = {"threadId": codex_thread, "turnId": turn}
    await server.request("turn/interrupt", params, timeout=STOP_TIMEOUT, urgent=True)


async def clean_terminals(server: AppServer, codex_thread: str) -> None:
    """`thread/backgroundTerminals/clean`: an interrupt leaves running commands behind."""
    params = {"threadId": codex_thread}
    await server.request("thread/backgroundTerminals/clean", params, timeout=STOP_TIMEOUT, urgent=True)


async def unsubscribe(server: AppServer, codex_thread: str) -> None:
    """`thread/unsubscribe`: Codex may unload the thread."""
    await server.request("thread/unsubscribe", {"threadId": codex_thread}, timeout=STOP_TIMEOUT)


async def read_account(server: AppServer) -> dict[str, Any]:
    """`account/read`: `account` (or null) and `requiresOpenaiAuth`."""
    return await server.request("account/read", {})


async def read_config(server: AppServer, folder: Path) -> dict[str, Any]:
    """`config/read`: what the user's own configuration comes to in a folder."""
    answer = await server.request("config/read", {"cwd": str(folder)})
    return as_dict(answer.get("config"))


async def hooks_that_approve(server: AppServer, folder: Path) -> tuple[str, ...]:
    """Keys of the hooks of a folder, from `hooks/list`, that would answer approvals in place of the room."""
    answer = await server.request("hooks/list", {"cwds": [str(folder)]})
    hooks = [hook for entry in dicts(answer.get("data")) for hook in dicts(entry.get("hooks"))]
    asked = [hook for hook in hooks if hook.get("eventName") == "permissionRequest"]
    return tuple(str(hook.get("key")) for hook in asked if hook.get("enabled", True))


async def list_mcp_servers(server: AppServer) -> list[dict[str, Any]]:
    """`mcpServerStatus/list`, one page: MCP servers with their tools. Codex starts them for it."""
    params = {"limit": MAX_MCP_SERVERS, "detail": "toolsAndAuthOnly"}
    answer = await server.request("mcpServerStatus/list", params)
    return dicts(answer.get("data"))


async def list_models(server: AppServer) -> list[dict[str, Any]]:
    """`model/list`, at most `MAX_MODELS` of them."""
    found: list[dict[str, Any]] = []
    cursor: object = None
    while len(found) < MAX_MODELS:
        params = {"limit": 100} if cursor is None else {"limit": 100, "cursor": cursor}
        page = await server.request("model/list", params)
        found += dicts(page.get("data"))
        cursor = page.get("nextCursor")
        if not cursor:
            break
    return found[:MAX_MODELS]


async def probe_sandbox(server: AppServer, folder: Path, profile: str) -> str | None:
    """Run `true` in the sandbox. Returns why it does not work, or None when it does."""
    params = {"command": ["true"], "cwd": str(folder), "permissionProfile": profile, "timeoutMs": 10_000}
    try:
        result = await server.request("command/exec", params, timeout=PROBE_TIMEOUT)
    except ProcessError as error:
        return str(error)
    if result.get("exitCode") == 0:
        return None
    return str(
        result.get("stderr") or result.get("stdout") or f"exit status {result.get('exitCode')}"
    ).strip()


async def read_catalog(command: Command) -> object:
    """What `codex debug models` prints, as a JSON value. Raises `BackendError`."""
    child = await Child.spawn(command)
    parts: list[bytes] = []
    try:
        while data := await child.read():
            parts.append(data)
        code = await child.wait()
    finally:
        await child.stop(grace=0)
    if code != 0:
        raise BackendError(f"Codex did not list its models: {child.stderr_tail()[-500:]}")
    try:
        return ndjson.decode(b"".join(parts))
    except WireError as error:
        raise BackendError(f"Codex's list of models cannot be read: {error}") from error

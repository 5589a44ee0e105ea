"""From facts to findings. Pure: `now` is in seconds since 1970."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from process_agent.cli.checkup.facts import Asked, DataFolder, Disk, Endpoint, Installation, LocalServer
from process_agent.core.diagnosis import Finding, failure, fine, warning

OLDEST_PYTHON: Final = (3, 13)
SKEW_WARNING: Final = 60.0
"""Seconds by which clocks may differ before tokens of minutes begin to fail."""
SKEW_ERROR: Final = 300.0
LITTLE_SPACE: Final = 1024**3
"""Bytes free below which a disk is reported: Codex, its records and a room's tables want some."""
NO_SPACE: Final = 100 * 1024**2
SLOW_SECONDS: Final = 3.0
"""An answer to a small question that takes longer than this is reported."""


def python(found: Installation) -> Finding:
    """Whether this Python is new enough."""
    text = f"{'.'.join(map(str, found.python))}, {found.executable}"
    if found.python[:2] < OLDEST_PYTHON:
        return failure("python", text, "Install Python 3.13 or newer, and process-agent with it.")
    return fine("python", text)


def package(found: Installation, wanted: Sequence[str]) -> Finding:
    """This package, and its extras that are not there; those that are wanted are missed."""
    text = f"process-agent {found.package}"
    needed = [extra for extra in wanted if extra in found.missing]
    if needed:
        extras = ",".join(needed)
        fix = f"Install it with: pip install 'process-agent[{extras}]'."
        return warning("package", f"{text}, without {' and '.join(needed)}", fix)
    if found.missing:
        return fine("package", f"{text}, without the extras {', '.join(found.missing)}")
    return fine("package", text)


def endpoint(found: Endpoint) -> Finding:
    """Whether a provider of models answers, and takes the key."""
    subject, asked = f"models {found.name}", found.asked
    where = asked.address
    address = found.url_variable or "--provider"
    if asked.status is None:
        return failure(
            subject,
            f"{where} cannot be reached: {asked.error}",
            f"Check the network, a proxy (HTTPS_PROXY), and the address in {address}.",
        )
    if asked.status in (401, 403):
        key = found.key_variable or "the provider's variable"
        said = "refused the key" if found.has_key else "asks for a key, and none is set"
        return failure(subject, f"{where} {said} (HTTP {asked.status})", f"Set a key that is valid in {key}.")
    if asked.status == 429 or asked.status >= 500:
        return warning(subject, f"{where} answers HTTP {asked.status}", "Try again later.")
    if asked.seconds > SLOW_SECONDS:
        return warning(
            subject, f"{where} took {asked.seconds:.1f} s to answer", "Check the network and the proxy."
        )
    if asked.status >= 300:
        return fine(
            subject, f"{where} answers (HTTP {asked.status} for its list of models); the key is not checked"
        )
    taken = ", the key is taken" if found.has_key else ""
    return fine(subject, f"{where} answers in {asked.seconds * 1000:.0f} ms{taken}")


def endpoints(found: Sequence[Endpoint]) -> list[Finding]:
    """All providers; a note where no key and no address is set."""
    if not found:
        return [fine("models", "no key of a provider is set; --provider scripted needs none")]
    return [endpoint(each) for each in found]


def hosted(asked: Asked) -> Finding:
    """Whether MeshAgent's API answers."""
    if asked.status is None:
        return failure(
            "meshagent api",
            f"{asked.address} cannot be reached: {asked.error}",
            "Check the network and MESHAGENT_API_URL, or use --local.",
        )
    if asked.status >= 500:
        return warning("meshagent api", f"{asked.address} answers HTTP {asked.status}", "Try again later.")
    return fine("meshagent api", f"{asked.address} answers in {asked.seconds * 1000:.0f} ms")


def room(name: str, asked: Asked) -> Finding:
    """What MeshAgent says about a room."""
    match asked.status:
        case None:
            return failure("room", f"{name}: {asked.error}", "Check the network.")
        case 401 | 403:
            return warning(
                "room",
                f"{name}: the credentials may not look at it (HTTP {asked.status}); joining may still work",
                "Join it for a moment with `process doctor --join`.",
            )
        case 404:
            return failure(
                "room", f"there is no room {name} in this project", "Make it in MeshAgent's Studio."
            )
        case 423:
            return failure("room", f"{name} is disabled", "Enable it in MeshAgent's Studio.")
        case status if status >= 400:
            return warning("room", f"{name}: HTTP {status}", "Try again later.")
        case _:
            return fine("room", f"{name} is there")


def local_room(found: LocalServer) -> list[Finding]:
    """The local room's server and its port."""
    if found.url is not None:
        return [fine("room", f"the local room runs at {found.url}")]
    absent = fine("room", "the local room does not run; `process join` starts it")
    if found.port_free:
        return [absent, fine("port", f"{found.port} is free for the local room")]
    return [
        absent,
        warning(
            "port",
            f"{found.port}, which the local room would take, is another program's; it would take a free one",
            "Choose one with --port, so that links stay the same.",
        ),
    ]


def clock(answers: Iterable[Asked]) -> Finding:
    """Our clock beside those of the servers that answered: tokens are good for a time."""
    skews = sorted((each.skew for each in answers if each.skew is not None), key=abs)
    if not skews:
        return fine("clock", "not compared: no server said what time it is")
    skew = skews[0]  # the kindest: one server may be wrong itself
    if abs(skew) <= SKEW_WARNING:
        return fine("clock", f"within {max(1, round(abs(skew)))} s of the servers")
    text = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the servers"
    fix = "Set this machine's clock, for example by turning on its time service (NTP)."
    return failure("clock", text, fix) if abs(skew) > SKEW_ERROR else warning("clock", text, fix)


def data_folder(found: DataFolder) -> list[Finding]:
    """The data folder: there or to be made, ours, closed to others."""
    subject, path = "data folder", found.path
    if not found.writable:
        return [failure(subject, f"{path} cannot be written", "Choose another with --data-dir.")]
    if not found.exists:
        return [fine(subject, f"{path} is made at the first start")]
    if not found.ours:
        return [failure(subject, f"{path} belongs to another user", "Choose another with --data-dir.")]
    findings = [fine(subject, str(path))]
    if found.mode & 0o077:
        findings = [
            warning(subject, f"{path} can be read by others (mode {found.mode:o})", f"Run chmod 700 {path}.")
        ]
    if found.key_mode is not None and found.key_mode & 0o077:
        findings.append(
            failure(
                "signing key",
                f"others can read the key of the local room (mode {found.key_mode:o})",
                f"Run chmod 600 {path / 'signing-key'}, or remove it to get a new one.",
            )
        )
    return findings


def disks(found: Iterable[Disk]) -> list[Finding]:
    """Room on the file systems; those with enough are one finding."""
    known = list(found)
    short = [_short(disk) for disk in known if disk.free < LITTLE_SPACE]
    if short:
        return short
    if not known:
        return []
    return [fine("disk", f"{min(disk.free for disk in known) / 1024**3:.1f} GiB free or more")]


def _short(disk: Disk) -> Finding:
    text = f"{disk.free / 1024**2:.0f} MiB free for {disk.use} ({disk.path})"
    fix = "Make room there, or choose another place."
    return failure("disk", text, fix) if disk.free < NO_SPACE else warning("disk", text, fix)

"""`process deploy` at MeshAgent: a container service of a room, or of the whole project."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from process_agent.cli.service_flags import Params, container_service, refuse_credentials, service_name
from process_agent.cli.service_place import Found, Wanted, check_hosted
from process_agent.cli.service_progress import report, until_it_runs
from process_agent.cli.services_hosted import HostedPlace
from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.cli.summary import Lines
    from process_agent.config import Settings
    from process_agent.core.content import Json
    from process_agent.services.document import Service


def deploy_hosted(context: typer.Context, wanted: Wanted, settings: Settings) -> None:
    """Create, update or roll back. Raises `UsageError` for flags that cannot work, or a document that
    MeshAgent does not take, `AuthError` and `RoomError`.
    """
    params = context.params
    room = None if wanted.project else wanted.room or settings.room
    if wanted.project and wanted.room is not None:
        raise UsageError("--room and --project contradict each other.")
    check_hosted(wanted)
    if room is None and params["wait"]:
        raise UsageError(
            "--wait needs a room: how a service of a project is, rooms know.",
            fix="Leave it out; `process service show NAME --project --room ROOM` says how it is in a room.",
        )
    if params["rollback"]:
        service_name(params)
        with HostedPlace(wanted, settings, room) as place:
            _roll_back(params, place)
        return
    service = container_service(context)
    document = _document(service)
    with HostedPlace(wanted, settings, room) as place:
        _put(params, place, service, document)


def _document(service: Service) -> dict[str, Json]:
    from process_agent.services.document import service_document
    from process_agent.services.models import as_the_model_has_it

    document = service_document(service)
    refuse_credentials(document, service.flags)
    return as_the_model_has_it(document)


def _put(params: Params, place: HostedPlace, service: Service, new: dict[str, Json]) -> None:
    from process_agent.services.deployed import LAST, PREVIOUS, bare, remembered, remembering
    from process_agent.services.merging import difference, merged
    from process_agent.services.models import as_it_is

    raw = _there(place, service.name)
    there = None if raw is None else bare(as_it_is(raw))
    merge = None if raw is None or there is None else merged(remembered(raw, LAST), there, new)
    document = new if merge is None else merge.document
    changed = document != there
    lines: Lines = [
        ("service", f"{service.name} in {place.label}"),
        ("agent", service.agent_name),
        *_login_and_workspace(service),
        *(("kept", f"{each}, changed by hand") for each in (merge.kept if merge else ())),
        *(("replaced", f"{each}, changed by hand") for each in (merge.replaced if merge else ())),
    ]
    facts = {
        "created": raw is None,
        "changed": changed,
        "kept": merge.kept if merge else [],
        "replaced": merge.replaced if merge else [],
    }
    if params["diff"]:
        typer.echo(difference(there, document).encode(), nl=False)
    if params["dry_run"]:
        would = "would be made" if raw is None else ("would be updated" if changed else "is as it would be")
        report(
            params["json"],
            None,
            [*lines, ("dry run", f"it {would}; nothing was sent")],
            **facts,
            dry_run=True,
        )
        return
    previous = there if changed or raw is None else remembered(raw, PREVIOUS)
    whole_document, whole = remembering(document, new, previous)
    if not whole:
        print(
            "process: this document is too long for --rollback, and for keeping changes by hand",
            file=sys.stderr,
        )
    before = _container(place, str(raw["id"])) if raw is not None and params["wait"] else None
    service_id = str(raw["id"]) if raw is not None else None
    if service_id is None:
        service_id = place.api.create(whole_document)
    elif changed or remembered(raw or {}, LAST) != new:
        place.api.update(service_id, whole_document)
    outcome = "new" if raw is None else ("updated" if changed else "as it was: nothing changed")
    enabled = document.get("enabled") is not False
    found = Found(service_id, service.name, service.agent_name, enabled, document,
                  facts={"room": place.access.room, "project": place.access.project_id})  # fmt: skip
    lines = [*lines, ("outcome", outcome)]
    if not enabled:
        lines = [*lines, ("disabled", f"it stays so; process service start {service.name}")]
    report(params["json"], found, lines, **facts)
    if params["wait"] and enabled:
        _wait(params, place, found, before, changed=changed)


def _roll_back(params: Params, place: HostedPlace) -> None:
    from process_agent.services.deployed import PREVIOUS, bare, remembered, remembering
    from process_agent.services.merging import difference
    from process_agent.services.models import as_it_is

    name = service_name(params)
    raw = _there(place, name)
    if raw is None:
        raise UsageError(f"There is no service {name!r} in {place.label} to roll back.")
    previous = remembered(raw, PREVIOUS)
    if previous is None:
        raise UsageError(
            f"The service {name!r} does not say what it was before: it was deployed once only, or by another "
            "program."
        )
    there = bare(as_it_is(raw))
    document = {**previous, "enabled": there.get("enabled", True)}
    if params["diff"]:
        typer.echo(difference(there, document).encode(), nl=False)
    if params["dry_run"]:
        report(params["json"], None, [("dry run", f"{name} would go back; nothing was sent")], dry_run=True)
        return
    before = _container(place, str(raw["id"])) if params["wait"] else None
    place.api.update(str(raw["id"]), remembering(document, document, there)[0])
    found = Found(str(raw["id"]), name, None, document["enabled"] is not False, document)
    report(params["json"], found, [("service", f"{name} in {place.label}, as it was before")], created=False)
    if params["wait"] and found.enabled:
        _wait(params, place, found, before, changed=True)


def _there(place: HostedPlace, name: str) -> dict[str, Json] | None:
    """The service of this name, as MeshAgent has it. Raises `UsageError` when there are several."""
    found = [
        each
        for each in place.api.list()
        if isinstance(metadata := each.get("metadata"), dict) and metadata.get("name") == name
    ]
    if len(found) > 1:
        raise UsageError(
            f"There are {len(found)} services {name!r} in {place.label}.", fix="Remove all but one."
        )
    return found[0] if found else None


def _container(place: HostedPlace, service_id: str) -> object:
    """The container of a service, if its room can say."""
    if place.access.room is None:
        return None
    return next((s.state["container"] for s in place.services() if s.id == service_id and s.state), None)


def _wait(params: Params, place: HostedPlace, found: Found, before: object, *, changed: bool) -> None:
    until_it_runs(place, found, params["wait_timeout"], 0, not_container=before if changed else None)


def _login_and_workspace(service: Service) -> Lines:
    """How Codex gets its login, and where it works: what people ask first when it does not."""
    own = next((each for each in service.secrets if each.name == "OPENAI_API_KEY"), None)
    login = "the project's proxy, by the participant's token that MeshAgent gives the container"
    if own is not None:
        login = f"OPENAI_API_KEY of the secret {own.secret_id}"
    flags = list(service.flags)
    folder = flags[flags.index("--working-dir") + 1] if "--working-dir" in flags else "the image's own folder"
    where = folder
    if service.volume is not None and folder == service.volume.path:
        where = f"{folder}, the volume {service.volume.name}"
    elif folder == "/data":
        where = f"{folder}, the room's storage"
    return [("image", service.image), ("login", login), ("workspace", where)]

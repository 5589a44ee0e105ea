"""Where an agent's usage is kept, and from where it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from process_agent.rooms.tokens import read_claims

if TYPE_CHECKING:
    from process_agent.cli.checked import JoinOptions
    from process_agent.config import Settings
    from process_agent.core.room import Datasets
    from process_agent.core.usage import Ledger
    from process_agent.rooms.join import JoinTarget


def spool_folder(root: Path, target: JoinTarget, agent_name: str) -> Path:
    """Where usage waits that is not in the room yet; `root` is the data folder."""
    from process_agent.metering.spool import folder_of

    claims = read_claims(target.token)
    project = (claims.project_id if claims is not None else None) or ""
    return folder_of(root, project, target.room, agent_name)


def ledger_of(
    options: JoinOptions, settings: Settings, target: JoinTarget, datasets: Datasets, agent_name: str
) -> Ledger | None:
    """The ledger of an agent in the room it joined, if its threads are kept there."""
    if options.thread_storage != "dataset":
        return None
    from process_agent.metering.ledger import UsageLedger
    from process_agent.metering.spool import Spool

    folder = spool_folder(settings.paths(options.data_dir).root, target, agent_name)
    return UsageLedger(datasets, agent_name, Spool(folder))

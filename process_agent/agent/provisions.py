"""What turns of every thread of an agent get beside what the thread itself holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from process_agent.agent.attachments import Attachments
from process_agent.agent.metering import UNMETERED_AGENT, Metering
from process_agent.agent.standing_rules import RulesOptions, StandingRules
from process_agent.agent.tools.tooling import Tooling
from process_agent.io.fair_gate import FairGate
from process_agent.io.intake import Intake

STARTING = 16
"""Turns that are given to their backends at a time: beginning one is more work than what follows. More wait
at the gate, everybody's in turn.
"""


@dataclass(frozen=True, slots=True)
class Provisions:
    """Attached files, tools that the agent runs, rules, and who takes down what models use; turns begin
    through the gate `starting`.
    """

    attachments: Attachments
    tooling: Tooling = field(default_factory=Tooling)
    rules: StandingRules = field(default_factory=lambda: StandingRules(RulesOptions(), None))
    mcp_anywhere: bool = False
    """Whether servers of messages may be at any address."""
    starting: FairGate = field(default_factory=lambda: FairGate(STARTING))
    intake: Intake = field(default_factory=Intake)
    """Where requests come in, and turns wait for those to be answered."""
    metering: Metering = UNMETERED_AGENT
    shell_folder: Path | None = None
    """Where models work that have the agent's shell; None when there is none."""

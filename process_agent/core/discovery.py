"""How clients find an agent and its threads: what it says of itself in the room, and its service too."""

from __future__ import annotations

from dataclasses import dataclass

from process_agent.core.content import Json
from process_agent.core.ids import ThreadId

THREAD_DIR = "meshagent.chatbot.thread-dir"
"""The participant attribute with an agent's folder of threads."""

ONLY_THREAD = "main"
"""The thread of an agent that has one for everybody (agent protocol section 6.1)."""


def only_thread(directory: str) -> ThreadId:
    """The one thread in the thread folder of such an agent."""
    return ThreadId(f"{directory}/{ONLY_THREAD}")


@dataclass(frozen=True, slots=True)
class ChatProfile:
    """What clients learn about the agent before they talk to it. `thread_dir` has its scheme once; an agent
    with a `thread_path` has that one thread for everybody. `caution` is what everybody who talks to it should
    know first; our Studio shows it, and other clients do not know it.
    """

    agent_name: str
    thread_dir: str
    thread_path: str | None = None
    empty_state_title: str = "How can I help you?"
    caution: str | None = None
    mcp: bool = False
    """Whether messages may bring MCP servers along."""

    def threading(self) -> dict[str, str]:
        """Where the threads are: the keys that participant attributes and service annotations share."""
        mode = {"meshagent.chatbot.threading": "default-new"}
        if self.thread_path is not None:
            mode = {"meshagent.chatbot.thread-path": self.thread_path}
        return mode | {
            THREAD_DIR: self.thread_dir,
            "meshagent.chatbot.thread-list": f"{self.thread_dir}/index",
        }

    def attributes(self) -> dict[str, Json]:
        """Participant attributes (agent protocol section 2.1)."""
        return {
            "supports_agent_messages": True,
            "supports_messaging_streams": True,
            "empty_state_title": self.empty_state_title,
            **({"process.caution": self.caution} if self.caution else {}),
            **({"supports_mcp": True} if self.mcp else {}),
            **self.threading(),
        }

    def annotations(self) -> dict[str, str]:
        """Annotations of the agent in a service document. Some clients believe these rather than the
        attributes, so both come from `threading`.
        """
        return {"meshagent.agent.type": "ChatBot", **self.threading()}

"""The client half of the agent protocol: chat, threads."""

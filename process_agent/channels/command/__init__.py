"""The command channel: a program of the operator's that is a channel (agent protocol 1.4)."""

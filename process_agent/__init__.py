"""process: a coding agent as a participant of a room."""

__version__ = "0.1.0"

"""Tools the agent runs for the models of its backends: those of the room, of its storage, of its threads."""

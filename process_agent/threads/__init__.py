"""The thread store: rows in the room's dataset."""

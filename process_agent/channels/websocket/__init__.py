"""The websocket channel: agent messages to people and programs that are not in the room (protocol 1.3)."""

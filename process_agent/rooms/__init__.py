"""Joining a room: credentials, connection, roster, and the room ports of core."""

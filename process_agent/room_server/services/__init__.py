"""Services of the local room: agents that the room's server starts, watches and stops."""

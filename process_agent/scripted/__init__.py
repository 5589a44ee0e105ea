"""The scripted model: a deterministic Responses API on loopback."""

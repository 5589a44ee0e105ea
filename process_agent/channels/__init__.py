"""Sources of turns, one file per channel."""

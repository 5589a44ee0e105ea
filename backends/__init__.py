"""Backends that come with the distribution; each is found by its entry point."""

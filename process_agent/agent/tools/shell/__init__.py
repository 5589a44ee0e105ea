"""Commands and patches for models that have none of their own: `--shell` and `--advanced-shell`."""

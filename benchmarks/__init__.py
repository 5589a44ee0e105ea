"""Side by side with what a user would pick instead, and with the bare limit, in one run."""

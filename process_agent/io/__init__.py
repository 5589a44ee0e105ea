"""The few shells that touch the operating system."""

"""Starts the whole portal in the foreground (`make run`)."""

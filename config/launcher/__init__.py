"""Starts the whole portal in the foreground."""

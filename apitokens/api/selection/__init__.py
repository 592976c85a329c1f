"""Calls about several tokens at once: those that are named, or all that a filter finds."""

"""The bell and the inbox."""

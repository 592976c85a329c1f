"""Backups that are read back before they count, and restoring that says what it costs."""

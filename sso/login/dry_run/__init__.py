"""Dry run of a connection: one login that starts no session, to test the settings."""

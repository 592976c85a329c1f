"""Issuing and deleting API tokens, and telling people of it."""

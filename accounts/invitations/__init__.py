"""Asking an address to join an account."""

"""Passwords: which ones are good enough, and how one is compared at a sign-in."""

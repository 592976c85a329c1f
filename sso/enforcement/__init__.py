"""Forced single sign-on: who must sign in by it, and who may bypass it."""

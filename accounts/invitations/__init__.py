"""Invitations of an e-mail address to join an account."""

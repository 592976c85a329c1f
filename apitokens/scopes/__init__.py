"""Scopes: what a token is limited to, and the services at which they mean something."""

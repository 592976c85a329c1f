"""Signing out at the identity provider, too."""

"""Enforcement: accounts that require single sign-on of their users."""

"""Accounts that make their people sign in through the identity provider."""

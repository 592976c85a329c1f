"""Signing up and signing in, and what protects it."""

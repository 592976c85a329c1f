"""Parsers of what operators set in the environment."""

"""Observes requests and tasks: counts them, and writes a line for each."""

"""Secrets of every kind, used and misused in every way, are told nowhere."""

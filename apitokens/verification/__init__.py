"""Telling whether a token is good, to other systems and to our own API."""

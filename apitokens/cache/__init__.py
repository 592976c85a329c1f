"""Caches of tokens and verifier keys in the memory of each process, for a second."""

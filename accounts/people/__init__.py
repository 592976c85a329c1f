"""Choosing a person of the account: by name or address, from as many as it may have."""

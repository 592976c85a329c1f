"""Address lists: from where a token may be used."""

"""Which account a request is about, and who may see it."""

"""What it costs a proxy to ask whether a token is good. See `__main__`."""

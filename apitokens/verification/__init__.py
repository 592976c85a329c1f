"""Whether a token is good."""

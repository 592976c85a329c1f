"""What processes remember of tokens and verifier keys, for a moment."""

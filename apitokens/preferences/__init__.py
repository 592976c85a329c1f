"""How a person likes the list of tokens: its columns, and how dense it is."""

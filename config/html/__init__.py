"""How templates are loaded, and what they say in one word."""

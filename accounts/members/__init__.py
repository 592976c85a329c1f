"""Members of an account, and their roles."""

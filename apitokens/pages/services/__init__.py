"""The page Services: systems that an account registers, with the scopes of tokens."""

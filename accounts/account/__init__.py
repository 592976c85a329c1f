"""The page Account: the tenant that a person works in."""

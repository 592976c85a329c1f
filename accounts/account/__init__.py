"""The page Account: the tenant a person works in."""

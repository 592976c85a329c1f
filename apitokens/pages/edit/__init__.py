"""The page "Edit API token"."""

"""The promises of the portal, as tests. `python -m tests` runs them on both databases."""

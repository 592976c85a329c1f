"""What a new migration may do while the portal goes on, as docs/upgrades.md says."""

RULES = "See docs/upgrades.md."

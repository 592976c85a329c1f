"""The pages "Rotate API token" and "End the old secret"."""

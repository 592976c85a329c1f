"""The page "Create API token", and the dialog that shows the token once."""

"""The page Who has access: people, service accounts and their tokens, and why."""

"""Who belongs to an account, and as what."""

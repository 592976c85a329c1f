"""Service accounts of the caller's account: list, make, edit, switch off, remove."""

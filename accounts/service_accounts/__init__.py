"""Service accounts: issuers of API tokens that are no person."""

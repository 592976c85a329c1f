"""The account that a request is about, and the member who makes it."""

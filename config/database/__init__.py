"""Outages of the database: what they mean to a request, how long one waits, how they are logged."""

"""How often strangers may try something at the doors of single sign-on."""

from datetime import timedelta

from accounts.throttling.rate_limits import Limit

REFUSALS = Limit("sso-refusals", 30, timedelta(minutes=1))
"""Refused answers of one connection, from one network. Each leaves an event."""

"""Rate limits of the endpoints that anonymous browsers reach."""

from datetime import timedelta

from accounts.throttling.rate_limits import Limit

REFUSALS = Limit("sso-refusals", 30, timedelta(minutes=1))
"""Refused SAML messages per connection and network: each writes an audit event."""

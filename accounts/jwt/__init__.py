"""Short-lived authorization (JWT): an access token for an hour, a refresh token for a day."""

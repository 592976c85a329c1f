"""Signing in by SSO: response, just-in-time provisioning, session, dry run, reauthentication."""

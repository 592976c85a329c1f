"""Single Logout: by the portal at the provider, and by the provider at the portal."""

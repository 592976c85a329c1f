"""An account's identity provider: its settings, domains and certificates."""

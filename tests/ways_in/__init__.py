"""Every way into the portal under every rule that closes ways."""

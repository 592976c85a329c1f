"""SAML 2.0: reading what identity providers send, and believing nothing unproven."""

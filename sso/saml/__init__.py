"""SAML 2.0: verifies and reads messages and metadata of identity providers."""

"""SAML connections of accounts: metadata, settings, e-mail domains, certificates, activation."""

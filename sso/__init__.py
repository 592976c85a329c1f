"""Single sign-on by SAML 2.0: each account can connect an identity provider of its own."""

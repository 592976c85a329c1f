"""The demo: an account with people, tokens and single sign-on."""

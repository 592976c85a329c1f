"""Single sign-on: an account's own identity provider, and who comes in through it."""

"""The policy about API tokens of people who stay away from the identity provider."""

"""The environment variables: their list, and a parser for each kind of value."""

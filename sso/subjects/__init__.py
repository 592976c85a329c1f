"""Links between members and their names at the provider."""

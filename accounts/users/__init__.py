"""Users: their profiles, and the operators' services about them."""

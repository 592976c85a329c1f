"""The data that a portal is filled with."""

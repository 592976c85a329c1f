"""When and from where API tokens are used: counted in memory, written in batches."""

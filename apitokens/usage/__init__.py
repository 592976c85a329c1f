"""Usage of API tokens: counted in memory, stored in batches."""

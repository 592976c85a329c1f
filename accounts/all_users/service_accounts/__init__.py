"""The page Service accounts, below All users."""

"""Text that people write: how it is stored, searched and sorted, alike on both databases."""

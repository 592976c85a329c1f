"""Who acts, and whether they still may."""

"""Several tokens at once: the ticked ones, or all that a filter finds."""

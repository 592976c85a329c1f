"""Authorization: the actor of a request, and the re-check inside the transaction."""

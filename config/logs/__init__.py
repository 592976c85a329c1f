"""How the log is written (as text for people, or as JSON for machines), and where else it goes."""

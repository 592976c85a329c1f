"""What Prometheus is told: the counts of all processes, and what the database knows."""

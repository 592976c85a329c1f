"""What those who run the portal need: doctor, probes, metrics, logs, backups."""

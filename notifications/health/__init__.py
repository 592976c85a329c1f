"""Whether notices and background jobs go on: for probes, operators and system checks."""

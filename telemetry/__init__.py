"""What every app counts. The lowest of all: it knows none of them, and no Django."""

VERSION = "0.1.0"
"""The release, as the CHANGELOG names it."""

"""Notices by e-mail: rendering, and delivery exactly once."""

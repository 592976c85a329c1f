"""Starts one part of the portal, or a command on it: `permatoken web`, `permatoken worker`."""

"""Notices that API tokens expire: when, to whom, in which words."""

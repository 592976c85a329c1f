"""Notification settings, and the link that unsubscribes."""

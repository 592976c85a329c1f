"""The examination of an installation, for `manage.py doctor`."""

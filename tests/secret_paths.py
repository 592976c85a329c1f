"""A path for each route with a secret, of the kind that a mail has."""

import re

from django.urls import resolve

from notifications.links import SecretRoute, secret_routes

SECRET = "s3cr3t"
_SLASH = "(?:/|%2[Ff])"


def paths_up_to_the_secret() -> list[str]:
    """Such as `/invitations/`, from the URL configuration."""
    return [_plain(route).rpartition("/")[0] + "/" for route in secret_routes()]


def secret_paths() -> list[str]:
    """Such as `/invitations/s3cr3t/`, from the URL configuration."""
    paths = [f"{_plain(route)}{SECRET}/" for route in secret_routes()]
    assert [resolve(path).view_name for path in paths] == [it.name for it in secret_routes()]
    return paths


def _plain(route: SecretRoute) -> str:
    """The start of the route, with `1` for what varies in it."""
    return re.sub(r"\(\?:[^()]*\)", "1", route.start.replace(_SLASH, "/")).replace("\\", "")

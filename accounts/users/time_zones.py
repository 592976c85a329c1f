"""The time zones that people choose from: one name for each, by region, with its offset."""

import zoneinfo
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications.time_zones import zone_of

Choices = list[tuple[str, str | list[tuple[str, str]]]]

REGIONS: dict[str, Promise] = {
    "Africa": _("Africa"),
    "America": _("America"),
    "Antarctica": _("Antarctica"),
    "Arctic": _("Arctic"),
    "Asia": _("Asia"),
    "Atlantic": _("Atlantic Ocean"),
    "Australia": _("Australia"),
    "Europe": _("Europe"),
    "Indian": _("Indian Ocean"),
    "Pacific": _("Pacific Ocean"),
}


def choices(at: datetime) -> Choices:
    """UTC, then the zones of each region by name, each with its offset at this moment."""
    return [
        ("UTC", "UTC"),
        *(
            (str(REGIONS[region]), [(name, _label(name, offset)) for name, offset in zones])
            for region, zones in _by_region(at.replace(minute=0, second=0, microsecond=0))
        ),
    ]


def canonical_name(name: str) -> str:
    """The present name of a zone that browsers and former versions may spell otherwise, such as
    Asia/Calcutta; the same for one that is no spelling of a zone in the list."""
    names = _names()
    return name if name in names else _former_names().get(name, name)


@lru_cache(maxsize=1)
def _by_region(hour: datetime) -> list[tuple[str, list[tuple[str, timedelta]]]]:
    """Kept for an hour: each zone's file is read for its offset."""
    offsets = [(name, hour.astimezone(zone_of(name)).utcoffset()) for name in sorted(_names())]
    return [
        (region, [(name, offset or timedelta()) for name, offset in zones])
        for region, zones in groupby(offsets, key=lambda each: each[0].partition("/")[0])
    ]


def _label(name: str, offset: timedelta) -> str:
    place = name.partition("/")[2].replace("_", " ").replace("/", ", ")
    minutes = int(offset.total_seconds()) // 60
    sign = "−" if minutes < 0 else "+"
    return f"{place} (UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02})"


@cache
def _names() -> frozenset[str]:
    """The zones of the table of countries, of the IANA database, which this machine knows."""
    lines = _read("zone.tab")
    names = {line.split("\t")[2] for line in lines if not line.startswith("#")}
    known = zoneinfo.available_timezones()
    return frozenset(name for name in names if name in known and name.partition("/")[0] in REGIONS)


@cache
def _former_names() -> dict[str, str]:
    """Other spellings of the zones in the list (lines "L <zone> <other spelling>")."""
    links = [line.split() for line in _read("tzdata.zi") if line.startswith("L ")]
    return {former: name for _mark, name, former in links if name in _names()}


def _read(name: str) -> list[str]:
    return (files("tzdata.zoneinfo") / name).read_text(encoding="utf-8").splitlines()

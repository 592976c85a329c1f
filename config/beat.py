"""Beat, on a machine whose clock may be set back."""

import time
from typing import Any

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):
    """Celery's own orders tasks by the time of the clock at which they are due. When the clock is
    set back by hours it would send nothing for as long: so it orders them anew."""

    _ticked_at = 0.0

    def tick(self, *facts: Any, **more: Any) -> Any:
        at = time.time()
        if at < self._ticked_at:
            self._heap = None  # made again from the schedule, where `Interval` says what is due
        self._ticked_at = at
        return super().tick(*facts, **more)

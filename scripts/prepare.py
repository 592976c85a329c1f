"""Makes the virtual environment ready: `prepare.py run`, `prepare.py dev` with the tools,
or `prepare.py bench` with the peers to measure beside the portal.

This file is read by any Python 3, so that one that is too old is told so and not a syntax error.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "Permatoken needs Python 3.11 or later, and this is %d.%d (%s). "
        "Install a newer one, or name it: make PYTHON=/path/to/python3.11"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

from environment import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

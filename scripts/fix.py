"""`make fix`: repair what tools can repair, then run all checks."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
TOOLS = (
    ("ruff", "check", "--fix", "--quiet", "."),
    ("ruff", "format", "--quiet", "."),
    ("djlint", "templates", "--reformat", "--quiet"),
)


def main() -> int:
    for name, *arguments in TOOLS:
        subprocess.run([str(BIN / name), *arguments], cwd=ROOT, check=False)
    return subprocess.run([sys.executable, str(ROOT / "scripts" / "check.py")]).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Print the tag of a release, if its version may be released: `python -m tests.check_release`, with Python alone.

pyproject.toml's version has a section with a date in CHANGELOG.md, its names are written down, and it has no tag yet.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def problem(root: Path, tags: list[str]) -> str | None:
    """Return what a release lacks, or None."""
    version = version_of(root)
    if not re.search(
        rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE
    ):
        return f"CHANGELOG.md has no section '## {version} (YYYY-MM-DD)'"
    if not (root / "tests" / "data" / "releases" / version / "promises.json").exists():
        return f"tests/data/releases/{version}/promises.json is missing: CHANGELOG.md says how to write it"
    return f"v{version} is a tag already: raise the version in pyproject.toml" if f"v{version}" in tags else None


def version_of(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


if __name__ == "__main__":
    listed = subprocess.run(
        ["git", "tag", "--list"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    sys.exit(problem(ROOT, listed) or print(f"tag=v{version_of(ROOT)}"))

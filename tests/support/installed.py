"""The package as others have it: its wheel, in an environment that knows nothing of this checkout."""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Installed:
    """An environment of its own with the wheel in it, and with what `requirements.lock` names.

    wheel: what was installed. command: `stock-pipeline` of that environment.
    """

    wheel: Path
    command: Path

    def contents(self) -> dict[str, bytes]:
        """Return the wheel's files by name."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def install(folder: Path) -> Installed:
    """Build the wheel of this checkout and install it under `folder`."""
    _uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    _uv("venv", "--python", sys.executable, folder / "environment")
    python = folder / "environment" / "bin" / "python"
    into = ("pip", "install", "--python", python, "--no-deps")
    _uv(*into, "--require-hashes", "-r", ROOT / "requirements.lock")
    _uv(*into, wheel)
    return Installed(wheel, python.with_name("stock-pipeline"))


def _uv(*arguments: object) -> None:
    done = subprocess.run([UV, "--quiet", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

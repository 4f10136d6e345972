"""Building the Lambda packages: a zip a function, for one Python and architecture, with the same bytes each time.

`make lambdas` runs it. A zip has `app.py`, the parts of `stock_pipeline` that a function may use, and the packages that
`requirements-<function>.txt` pins with hashes. boto3 is left out, because Lambda's runtime has it. Terraform reads
`packages.json` beside the zips.
"""

import argparse
import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "dist" / "lambdas"

PYTHONS = ("3.13", "3.12", "3.11")
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
GLIBC = "manylinux_2_28"
"""The glibc of pyarrow's wheels. Lambda's image for Python 3.11 is older, so such a zip runs elsewhere only."""

LAYERS = (
    "domain",
    "streaming",
    "providers",
    "aws",
    "__init__.py",
    "errors.py",
    "redrive",
    "settings.py",
    "state",
    "trade_table.py",
    "wiring.py",
)
"""Parts of stock_pipeline that run in a Lambda; the others need Dagster, polars or a laptop."""

DROPPED_FOLDERS = frozenset({"__pycache__", "tests", "include", "bin", "sample"})
DROPPED_FILES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock"})

PYARROW_MODULES = frozenset({"lib", "_acero", "_compute", "_fs", "_json", "_parquet"})
PYARROW_LIBRARIES = frozenset(
    {
        "libarrow",
        "libarrow_acero",
        "libarrow_compute",
        "libarrow_dataset",
        "libarrow_python",
        "libarrow_substrait",
        "libparquet",
    }
)
"""What the processor loads of pyarrow's compiled parts: modules, and the libraries that all of them are linked with. A
table's own methods import `_acero`. Left out are Flight, the file systems of clouds, ORC, CSV, datasets and encryption:
pyarrow imports those where they are there, or where they are asked for."""

UNZIPPED_LIMIT = 262_144_000
"""Lambda's 250 MB for a function with its layers."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can have."""


class BuildError(Exception):
    """A failed build. Its message says what to do."""


class Target(NamedTuple):
    """Python and architecture of the zips."""

    python: str
    architecture: str

    @property
    def platform(self) -> str:
        return f"{ARCHITECTURES[self.architecture]}-{GLIBC}"


class Package(NamedTuple):
    """A finished zip."""

    function: str
    path: Path
    unzipped_bytes: int
    sha256: bytes
    versions: dict[str, str]


def function_names() -> list[str]:
    """Return the functions: the folders with an app.py."""
    return sorted(path.parent.name for path in (ROOT / "lambdas").glob("*/app.py"))


def build(function: str, target: Target, output: Path) -> Package:
    """Build and check the zip of one function."""
    requirements = ROOT / "lambdas" / f"requirements-{function}.txt"
    if not requirements.exists():
        raise BuildError(f"{requirements} is missing: write lambdas/requirements-{function}.in and run make lock")
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{function}.zip"
    with tempfile.TemporaryDirectory() as folder:
        staging = Path(folder)
        install(requirements, target, staging)
        shutil.copy(ROOT / "lambdas" / function / "app.py", staging)
        copy_sources(staging / "stock_pipeline")
        files = shipped_files(staging)
        versions = pinned_versions(requirements, target)
        check_versions(versions, installed_versions(files))
        unzipped = check_size(function, files)
        write_zip(path, staging, files)
    digest = hashlib.sha256(path.read_bytes()).digest()
    return Package(function, path, unzipped, digest, versions)


def install(requirements: Path, target: Target, folder: Path) -> None:
    """Install the pinned packages for the target, on any machine, and check their hashes."""
    uv = Path(sys.executable).parent / "uv"
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--target", folder, "--python-version", target.python]
    command += ["--python-platform", target.platform, "--only-binary", ":all:", "--no-deps", "--require-hashes"]
    result = subprocess.run([*command, "-r", requirements], capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{requirements.name} can't be installed for {target.platform}: {result.stderr.strip()}")


def copy_sources(folder: Path) -> None:
    for name in LAYERS:
        source = ROOT / "stock_pipeline" / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder)


def shipped_files(staging: Path) -> list[Path]:
    """Return the files of the zip, in the order of names."""
    files = (
        path
        for path in staging.rglob("*")
        if path.is_file()
        and path.name not in DROPPED_FILES
        and not DROPPED_FOLDERS & set(path.relative_to(staging).parts[:-1])
        and (path.parent != staging / "pyarrow" or is_used(path.name))
    )
    return sorted(files, key=Path.as_posix)


def is_used(name: str) -> bool:
    """Whether a file of pyarrow is no compiled part, or one that a function loads.

    A wheel has a library under each of its names, and the loader takes the one with the major version.
    """
    stem, *rest = name.split(".")
    if "so" not in rest:
        return True
    return stem in PYARROW_MODULES or (stem in PYARROW_LIBRARIES and len(rest) == 2)


def pinned_versions(requirements: Path, target: Target) -> dict[str, str]:
    """Return name and version of each package that the lock has for the target's Python."""
    lines = re.findall(r"^([A-Za-z0-9][^\\\n#]*)", requirements.read_text(), flags=re.MULTILINE)
    pins = [Requirement(line.strip()) for line in lines]
    python = {"python_version": target.python, "python_full_version": f"{target.python}.0"}
    return {
        _normal(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(python)
    }


def installed_versions(files: Iterable[Path]) -> dict[str, str]:
    names = (path.parent.name for path in files if path.name == "METADATA")
    found = (re.fullmatch(r"(.+)-([^-]+)\.dist-info", name) for name in names)
    return {_normal(match.group(1)): match.group(2) for match in found if match}


def check_versions(pinned: dict[str, str], installed: dict[str, str]) -> None:
    """Compare versions, because a resolver that finds no wheel silently takes an older version."""
    if pinned != installed:
        raise BuildError(f"the zip would hold {installed} where the lock says {pinned}; lock again")


def check_size(function: str, files: Iterable[Path]) -> int:
    unzipped = sum(path.stat().st_size for path in files)
    if unzipped > UNZIPPED_LIMIT:
        raise BuildError(
            f"{function} is {unzipped:,} bytes unzipped, and Lambda takes {UNZIPPED_LIMIT:,}: drop a package"
        )
    return unzipped


def write_zip(path: Path, staging: Path, files: Sequence[Path]) -> None:
    """Write the files with one time and mode, so that the same files give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(staging).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, file.read_bytes())


def packages_json(target: Target, packages: Iterable[Package]) -> str:
    functions = {
        package.function: {
            "file": package.path.name,
            "sha256_base64": base64.b64encode(package.sha256).decode(),
            "sha256_hex": package.sha256.hex(),
            "unzipped_bytes": package.unzipped_bytes,
            "versions": package.versions,
        }
        for package in packages
    }
    return json.dumps({"python": target.python, "architecture": target.architecture, "functions": functions}, indent=2)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the Lambda packages and packages.json, which Terraform reads.")
    parser.add_argument("--python", choices=PYTHONS, default=PYTHONS[0], help="default: 3.13")
    parser.add_argument("--architecture", choices=tuple(ARCHITECTURES), default="arm64", help="default: arm64")
    parser.add_argument("--function", choices=function_names(), action="append", help="only this one; may be repeated")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="default: dist/lambdas")
    options = parser.parse_args(arguments)
    target = Target(options.python, options.architecture)
    if target.python == "3.11":
        print(
            "Lambda's image for Python 3.11 is too old for these wheels: the zips run elsewhere only", file=sys.stderr
        )
    packages = []
    for function in options.function or function_names():
        try:
            package = build(function, target, options.output)
        except BuildError as error:
            print(f"build: {error}", file=sys.stderr)
            return 1
        packages.append(package)
        zipped = package.path.stat().st_size
        print(
            f"{package.path}: {zipped / 1e6:.1f} MB, {package.unzipped_bytes / 1e6:.1f} of "
            f"{UNZIPPED_LIMIT / 1e6:.1f} MB unzipped, python{target.python} {target.architecture}, "
            + ", ".join(f"{name} {version}" for name, version in sorted(package.versions.items()))
        )
    (options.output / "packages.json").write_text(packages_json(target, packages) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Where a command or a reader works: what `stock-pipeline up` runs here, a deployment, or what the environment names.

No default names a bucket, a stream, a table or a queue of an account: somebody may own it.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from stock_pipeline.errors import SettingsError
from stock_pipeline.local.stack import LOOPBACK, loopback_environment
from stock_pipeline.project_files import MODELS_FILE, STATE_FOLDER
from stock_pipeline.settings import Settings

LOCAL = "local"

DEMO = "demo"
DEMO_FOLDER = STATE_FOLDER / DEMO
DEMO_MODELS = DEMO_FOLDER / MODELS_FILE
"""What `stock-pipeline demo` leaves: models, and its lake as files beside them. No service runs."""

DEPLOYED = STATE_FOLDER / "deployed"
"""Settings of deployments, a file each, written by `make apply`; and of `stock-pipeline up` while it runs."""


def settings_file(name: str) -> Path:
    return DEPLOYED / f"{name}.json"


def is_on_loopback(environ: Mapping[str, str]) -> bool:
    """Tell if an environment leads to services of this machine."""
    return urlsplit(environ.get("AWS_ENDPOINT_URL", "")).hostname in (LOOPBACK, "localhost")


def is_kept_demo(settings: Settings) -> bool:
    """Tell if settings lead to what the demo left."""
    return settings.duckdb_path == os.fspath(DEMO_MODELS.absolute())


def environ_of(
    name: str | None, environ: Mapping[str, str], needs: Sequence[str] = (), *, only_reads: bool = False
) -> dict[str, str]:
    """Return the environment that leads to a place. Raises `SettingsError` if nothing says where that is.

    name: `local`, a deployment such as dev, or None: what `environ` sends to loopback, what runs here, what it names.
    needs: variables that must be named for an account.
    only_reads: whether what the demo left will do, if there is no other place.
    """
    is_here = is_on_loopback(environ)
    if (name == LOCAL or (name is None and not is_here)) and settings_file(LOCAL).exists():
        # a running stack is on loopback, and no profile must lead away from it
        return {**loopback_environment(environ), **_settings_in(settings_file(LOCAL))}
    is_demo = name == DEMO and not settings_file(DEMO).exists()
    if is_demo or (name is None and not is_here and not environ.keys() >= {*needs}):
        if only_reads and DEMO_MODELS.exists():
            return {
                **loopback_environment(environ),
                "DBT_TARGET": "local",
                "DUCKDB_PATH": os.fspath(DEMO_MODELS.absolute()),
            }
        if is_demo:
            raise SettingsError(
                "the demo's services are gone with it; what it left can be read: stock-pipeline query, latest"
                if DEMO_MODELS.exists()
                else "no demo left anything here: run stock-pipeline demo"
            )
    if name == LOCAL and "AWS_ENDPOINT_URL" not in environ:
        raise SettingsError("nothing runs here: start it with stock-pipeline up, or choose --env dev")
    found = dict(environ)
    if name not in (None, LOCAL):
        found |= _settings_in(settings_file(str(name)))
        of = Settings.from_env(found).environment
        if of != name:
            raise SettingsError(
                f"these are the settings of {of}, and no deployment {name} is known here: "
                "deploy it from this folder, or set ENVIRONMENT"
            )
    missing = [] if is_here else [variable for variable in needs if variable not in found]
    if missing:
        deployed = ", ".join(f"--env {path.stem}" for path in sorted(DEPLOYED.glob("*.json")))
        raise SettingsError(
            "nothing runs here, and no account is named: start stock-pipeline up, say "
            f"{deployed or '--env dev once it is deployed'}, or set {', '.join(missing)}"
        )
    return found


def _settings_in(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise SettingsError(f"{path} can't be read as settings: delete it, and deploy or start up again")
    return found

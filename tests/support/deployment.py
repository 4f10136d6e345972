"""A copy of what deploys, with a terraform, aws and docker that write down their calls and answer for an account."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stock-pipeline-prod-dagster"

PROGRAM = """#!{python}
import json, os, sys
from pathlib import Path
world = Path({world!r})
name, arguments = {name!r}, sys.argv[1:]
call = " ".join([name, *arguments])
with (world / "calls").open("a") as calls:
    calls.write(call + "\\n")
state = json.loads((world / "state.json").read_text())
sys.path.insert(0, {root!r})
from tests.support.deployed_account import answer
code, out, err, after = answer(name, arguments, state, sys.stdin)
(world / "state.json").write_text(json.dumps(after))
sys.stdout.write(out)
sys.stderr.write(err)
raise SystemExit(code)
"""


class Result(NamedTuple):
    """How a command ended.

    calls: of terraform, aws, docker and the builder, in order.
    """

    code: int
    out: str
    err: str
    calls: list[str]

    def steps(self) -> list[str]:
        """Return what was done, in short: looking is left out."""
        return [step for call in self.calls if (step := short(call))]


def short(call: str) -> str | None:
    name, *words = [word for word in call.split() if not word.startswith("-chdir=")]
    match name, words:
        case "terraform", ["plan" | "apply" | "destroy" as verb, *_]:
            return verb
        case "docker", ["build" | "push" | "load" | "run" as verb, *_]:
            return verb
        case "aws", ["ecs", "update-service", *_]:
            return f"restart {words[words.index('--service') + 1]}"
        case "python", ["lambdas/build.py", *_]:
            return "packages"
    return None


class Deployment:
    """A clone of the repository's deployment files in a git repository of its own, and an account that is imagined."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "clone"
        self.world = folder / "world"
        self.world.mkdir()
        self.root.mkdir()
        for name in ("Makefile", ".gitignore", "pyproject.toml", "requirements.lock", "requirements-uv.txt"):
            shutil.copy(ROOT / name, self.root / name)
        shutil.copytree(
            ROOT / "infra",
            self.root / "infra",
            ignore=shutil.ignore_patterns(".terraform*", "__pycache__", "backend.tf"),
        )
        programs = folder / "bin"
        for name in ("terraform", "aws", "docker"):
            self._program(programs / name)
        # the environment of Python is there already, and its interpreter builds the packages
        self._program(self.root / ".venv" / "bin" / "python")
        (self.root / ".venv" / ".installed").touch()
        (self.root / "dist").mkdir()
        self.environ = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(folder),
            "PYTHON": sys.executable,
            **{
                f"GIT_{role}_{part}": "test@example.com"
                for role in ("AUTHOR", "COMMITTER")
                for part in ("NAME", "EMAIL")
            },
        }
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("first")
        self.state: dict[str, Any] = {}

    def _program(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROGRAM.format(python=sys.executable, world=str(self.world), name=path.name, root=str(ROOT)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def state(self) -> dict[str, Any]:
        """What the account holds, and how it behaves."""
        state: dict[str, Any] = json.loads((self.world / "state.json").read_text())
        return state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        (self.world / "state.json").write_text(json.dumps(state))

    def change(self, **values: Any) -> None:
        self.state = {**self.state, **values}

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.environ, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, text: str) -> str:
        (self.root / "infra" / "note").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", text)
        return self.git("rev-parse", "HEAD")

    def make(self, target: str, environment: str, answer: str = "", **variables: str) -> Result:
        named = {"ENV": environment, "STATE_BUCKET": "states", **variables}
        return self.run("make", *target.split(), *(f"{name}={value}" for name, value in named.items()), answer=answer)

    def run(self, *command: str, answer: str = "", **environ: str) -> Result:
        (self.world / "calls").write_text("")
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            input=answer,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr, (self.world / "calls").read_text().splitlines())

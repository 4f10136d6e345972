"""The tables in the modules' READMEs, written from their variables and outputs: `make module-readmes`.

The sentence above the tables is the comment at the head of `main.tf`. A test compares what is there with what this
would write.
"""

import re
from pathlib import Path

INFRA = Path(__file__).resolve().parent

_BLOCK = re.compile(r'^(?:variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def readme(module: Path) -> str:
    """A module's README."""
    head = re.match(r"(?:# .*\n)+", (module / "main.tf").read_text())
    purpose = " ".join(line.removeprefix("# ") for line in head.group().splitlines()) if head else ""
    lines = [f"# {module.name}", purpose, "", "| variable | type | default | what it is |", "|---|---|---|---|"]
    for name, body in _BLOCK.findall((module / "variables.tf").read_text()):
        default = _attribute(body, "default")
        shown = f"`{_one_line(default)}`" if default else "required"
        lines.append(f"| `{name}` | `{_one_line(_attribute(body, 'type'))}` | {shown} | {_description(body)} |")
    lines += ["", "| output | what it is |", "|---|---|"]
    for name, body in _BLOCK.findall((module / "outputs.tf").read_text()):
        lines.append(f"| `{name}` | {_description(body)} |")
    return "\n".join(lines) + "\n"


def modules() -> list[Path]:
    return sorted(path.parent for path in INFRA.glob("modules/*/main.tf"))


def _attribute(body: str, name: str) -> str:
    match = re.search(rf"^  {name}\s*= (.*?)(?=^  \w+\s*=|^  \w+ \{{|\Z)", body, re.MULTILINE | re.DOTALL)
    return match.group(1) if match else ""


def _one_line(text: str) -> str:
    joined = re.sub(r"\s+", " ", text).strip()
    return joined.replace("|", "\\|")


def _description(body: str) -> str:
    match = re.search(r'^  description\s*= "(.*)"$', body, re.MULTILINE)
    return match.group(1).replace('\\"', '"').replace("|", "\\|") if match else ""


def main() -> int:
    for module in modules():
        (module / "README.md").write_text(readme(module))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

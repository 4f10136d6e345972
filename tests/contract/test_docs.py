"""Links between README and docs lead somewhere, and what they say to type exists."""

import argparse
import re
from pathlib import Path

import pytest
import yaml

from stock_pipeline.cli import parser

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")), *DOCS]

CODE = ("infra", "bootstrap", "stock_pipeline", "lambdas", "dbt_project", ".github", "tests/contract")
SOURCES = (".py", ".tf", ".tfvars", ".sql", ".yml", ".yaml", ".json", ".csv")


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = [
        link
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        # the badge leads to the repository's site, wherever that is
        if "://" not in link and not link.startswith("../../actions/")
    ]
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_lists_every_page_once() -> None:
    linked = re.findall(r"^\| \[\w+\]\((\w+\.md)\)", INDEX.read_text(), re.MULTILINE)
    assert sorted(linked) == [page.name for page in DOCS if page != INDEX]


def test_the_site_has_every_page() -> None:
    index, *aims = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = [index, *(page for aim in aims for pages in aim.values() for page in pages)]
    assert sorted(pages) == [page.name for page in DOCS]


def test_the_readme_is_two_screens_and_begins_with_what_works_installed() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") <= 115
    _drawing, first, *_ = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert first == "uvx --from '.[local]' stock-pipeline demo\n"


@pytest.mark.parametrize("name", ["deploy", "operate", "restore", "runbook", "slo", "upgrade"])
def test_what_an_operator_is_told_to_change_exists(name: str) -> None:
    """Variables, tables, checks: a name with an underscore is one of the code's, or of a file."""
    found = (file for folder in CODE for file in (ROOT / folder).rglob("*") if file.suffix in SOURCES)
    # dbt names folders like the models whose compiled tests they have
    files = [file for file in found if file.is_file()]
    known = {word for file in files for word in (file.stem, *re.findall(r"\w+", file.read_text()))}
    text = re.sub(r"```.*?```", "", (ROOT / "docs" / f"{name}.md").read_text(), flags=re.DOTALL)
    named = {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", code)}
    # this test names none
    assert named - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    text = page.read_text()
    (commands,) = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert set(re.findall(r"stock-pipeline ([a-z][a-z-]*)", text)) <= set(commands.choices)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets

"""What the docs claim of AWS names AWS's page: in the text, or in docs/aws.md."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| \[(\w+)\]\(\w+\.md\) \| (.+) \| \[[^]]+\]\((\S+)\) \|$", re.MULTILINE)
ROWS = ROW.findall((DOCS / "aws.md").read_text())
SERVICE = r"(Lambda|Kinesis|DynamoDB|S3|SQS|SNS|Glue|Athena|CloudWatch|CloudTrail|RDS|ECS|ECR|Fargate|KMS|IAM|AWS)"
DOES = (
    r"(adds|bills|changes|charges|copies|deletes|forgets|gives|goes back|halves|ignores|keeps|leaves|lists|reads its"
    r"|refuses to|rejects|restores|rounds|rotates|takes no password|tries)"
)
CLAIM = re.compile(rf"\b{SERVICE} {DOES}\b")


def plain(text: str) -> str:
    """Prose and tables on one line, a table's cells as sentences."""
    return " ".join(re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace(" | ", ": ").split())


def sentences(page: Path) -> list[str]:
    prose = re.sub(r"```.*?```|^#.*?$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    blocks = re.split(r"\n\s*\n|\n(?=[-|])", prose)
    return [each for block in blocks for each in re.split(r"(?<=[.:?]) (?=[A-Z`\[])", " ".join(block.split()))]


def test_every_row_names_a_page_of_awss() -> None:
    assert len(ROWS) > 25
    assert {url for _, _, url in ROWS if not re.match(r"https://(docs\.)?aws\.amazon\.com/\S+", url)} == set()
    assert len({(page, says) for page, says, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("page", "says"), [(page, says) for page, says, _ in ROWS])
def test_a_claim_is_still_made(page: str, says: str) -> None:
    assert says in plain((DOCS / f"{page}.md").read_text()), f"docs/aws.md: {page}.md does not say this any more"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_service_is_said_to_do_has_its_page(page: Path) -> None:
    known = [says for name, says, _ in ROWS if name == page.stem]
    # alarms.md has scenes, not claims; aws.md has the claims themselves
    bare = [
        sentence
        for sentence in sentences(page)
        if page.stem not in ("alarms", "aws")
        and CLAIM.search(sentence)
        and "aws.amazon.com" not in sentence
        and not any(says in sentence for says in known)
    ]
    assert bare == [], "give each a link to AWS's page, or a row in docs/aws.md"

"""No account, key or secret stands in the repository, or in what Terraform plans."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

EXAMPLE_ACCOUNTS = {"123456789012", "000000000000", "111122223333"}
"""What AWS's documentation and emulators use for accounts that nobody has."""


def test_no_account_and_no_key_is_in_what_deploys() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "infra", "bootstrap", ".github", "lambdas", "docs", "Makefile", "tests/data/terraform"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert tracked
    for name in tracked:
        text = (ROOT / name).read_text(errors="replace")
        text = re.sub(r"sha256:[0-9a-f]{64}|\"sha256_hex\": \"[0-9a-f]+\"|@[0-9a-f]{40}|\b[0-9a-f]{64}\b", "", text)
        accounts = set(re.findall(r"(?<![0-9.])[0-9]{12}(?![0-9.])", text)) - EXAMPLE_ACCOUNTS
        assert not accounts, name
        assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b", text), name


def test_no_key_and_no_accounts_arn_is_in_the_repository() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = tracked.rstrip("\0").split("\0")
    assert len(names) > 200
    for name in names:
        text = (ROOT / name).read_text(errors="replace")
        found = re.findall(
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|\bsk_live_\w+|\bghp_\w{36}", text
        )
        assert not found, name
        assert not set(re.findall(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}):", text)) - EXAMPLE_ACCOUNTS, name

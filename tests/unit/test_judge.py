"""What the translation can't judge is left to Trino, with its reason in words."""

import pytest

from tests.check_all import CHECKS
from tests.support.judge import LEFT_TO_TRINO, is_judged

ACCOUNT: dict[str, str] = {}
TRANSLATION = {"AWS_ENDPOINT_URL_ATHENA": "http://127.0.0.1:1"}
TRINO = TRANSLATION | {"ATHENA_TRINO_URL": "http://127.0.0.1:2"}


@pytest.mark.parametrize("environ", [ACCOUNT, TRINO])
@pytest.mark.parametrize("step", LEFT_TO_TRINO)
def test_an_account_and_trino_judge_every_step(
    step: str, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_judged(step, environ)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("step", LEFT_TO_TRINO)
def test_the_translation_says_what_it_leaves_to_trino(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not is_judged(step, TRANSLATION)
    assert capsys.readouterr().out == f"  left to Trino: {step}, because {LEFT_TO_TRINO[step]}\n"


def test_every_module_left_to_trino_is_a_check() -> None:
    assert {step for step in LEFT_TO_TRINO if step.startswith("check_")} < set(CHECKS)

"""The composition root: what follows from the settings, and what it costs to import."""

import subprocess
import sys
from datetime import timedelta

import pytest

from stock_pipeline.aws.athena_compaction import AthenaEngine
from stock_pipeline.errors import SettingsError
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import Wiring

QUEUE = {"DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/queue"}


def test_parts_share_one_object_store_and_one_queue() -> None:
    with Wiring.open(Settings.from_env(QUEUE)) as wiring:
        assert wiring.producer.dead_letters is wiring.dead_letters
        assert wiring.dead_letters.oversized is wiring.objects
        assert wiring.compactor().lake is wiring.objects
        assert wiring.garbage_collector(timedelta(days=1)).catalog is wiring.catalog


def test_without_a_queue_only_its_parts_fail() -> None:
    with Wiring.open(Settings.from_env({})) as wiring:
        assert wiring.stream.name == "stock-stream"
        with pytest.raises(SettingsError, match="DEAD_LETTER_QUEUE_URL"):
            wiring.publisher()


@pytest.mark.parametrize(("target", "by_tag"), [("local", False), ("athena", True)])
def test_compacted_raw_files_expire_by_their_tag_in_an_account_only(target: str, by_tag: bool) -> None:
    with Wiring.open(Settings.from_env({"DBT_TARGET": target})) as wiring:
        assert wiring.garbage_collector(timedelta(days=1)).expire_raw is by_tag


def test_large_sessions_go_to_athena_in_an_account_only() -> None:
    account = {"DBT_TARGET": "athena", "ATHENA_WORKGROUP": "research", "ATHENA_COMPACTION_MEGABYTES": "7"}
    with Wiring.open(Settings.from_env(account)) as wiring:
        assert isinstance(wiring.sql_queries, AthenaEngine)
        assert wiring.sql_queries.athena.workgroup == "research"
        assert wiring.compactor().sql_bytes == 7_000_000
    with Wiring.open(Settings.from_env({})) as wiring:
        assert wiring.sql_queries is None


def test_the_module_imports_nothing_that_a_lambda_package_lacks() -> None:
    program = (
        "import sys, stock_pipeline.wiring; print([n for n in ('polars', 'pyarrow', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

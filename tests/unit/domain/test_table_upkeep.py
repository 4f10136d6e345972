"""Which partitions of an Iceberg table are rewritten, and by how many statements."""

from datetime import date

from stock_pipeline.domain.table_upkeep import MANY_FILES, PartitionFiles, rewrite_statements, worth_rewriting


def test_sessions_with_deleted_rows_or_many_files_are_rewritten_newest_first() -> None:
    partitions = [
        PartitionFiles(date(2018, 1, 2), files=2, deleted_rows=1),
        PartitionFiles(date(2018, 1, 3), files=1, deleted_rows=0),
        PartitionFiles(date(2018, 1, 4), files=MANY_FILES - 1, deleted_rows=0),
        PartitionFiles(date(2018, 2, 1), files=MANY_FILES, deleted_rows=0),
        PartitionFiles(date(2017, 12, 29), files=1, deleted_rows=200),
    ]
    assert worth_rewriting(partitions) == [date(2018, 2, 1), date(2018, 1, 2), date(2017, 12, 29)]


def test_a_month_is_one_statement_and_months_keep_their_order() -> None:
    sessions = [date(2018, 2, 1), date(2018, 1, 9), date(2018, 1, 2), date(2017, 1, 3)]
    optimize = "OPTIMIZE bars REWRITE DATA USING BIN_PACK WHERE"
    assert rewrite_statements("bars", sessions) == [
        f"{optimize} year = 2018 AND month = 2 AND day IN (1)",
        f"{optimize} year = 2018 AND month = 1 AND day IN (2, 9)",
        f"{optimize} year = 2017 AND month = 1 AND day IN (3)",
    ]


def test_nothing_worth_it_is_no_statement() -> None:
    assert rewrite_statements("bars", worth_rewriting([PartitionFiles(date(2018, 1, 2), 1, 0)])) == []

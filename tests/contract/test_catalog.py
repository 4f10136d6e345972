"""The catalog and its fake do the same, so what a test sees of the fake is true of Glue."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.clients import Clients
from stock_pipeline.domain.session import trading_days
from stock_pipeline.errors import IncompatibleSchemaError
from tests.fakes.stores import FakeCatalog
from tests.support.emulated_services import local_clients


@pytest.fixture(scope="module")
def clients(aws_endpoint: str) -> Iterator[Clients]:
    with closing(local_clients(aws_endpoint)) as opened:
        yield opened


@pytest.fixture(params=["fake", "moto"])
def catalog(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeCatalog()
    glue = GlueCatalog(request.getfixturevalue("clients").glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()
    return glue


def test_registering_partitions_keeps_those_that_are_there(catalog: Any) -> None:
    days = list(trading_days(date(2018, 1, 2), date(2018, 12, 31)))
    catalog.publish(days[3], "s3://bucket/published/")
    locations = {day: f"s3://bucket/{day}/" for day in days}
    assert catalog.register(locations) == len(days) - 1
    assert catalog.register(locations) == 0
    assert catalog.published_location(days[3]) == "s3://bucket/published/"
    assert catalog.published_location(days[-1]) == f"s3://bucket/{days[-1]}/"


def test_a_partition_is_published_and_moved(catalog: Any) -> None:
    session = date(2018, 1, 2)
    assert catalog.published_location(session) is None
    for version in ("s3://bucket/a/", "s3://bucket/b/", "s3://bucket/b/"):
        catalog.publish(session, version)
        assert catalog.published_location(session) == version
    assert catalog.published_location(date(2018, 1, 3)) is None


def test_unpublished_sessions_are_registered_and_dropped_in_batches(catalog: Any) -> None:
    days = list(trading_days(date(2018, 1, 2), date(2018, 12, 31)))
    locations = {day: f"s3://bucket/raw/{day}/" for day in days}
    assert catalog.register_unpublished(locations) == []
    assert catalog.register_unpublished(locations) == []
    assert set(catalog.unpublished_sessions()) == set(days)
    assert catalog.drop_unpublished(days[1:]) == []
    assert catalog.drop_unpublished([*days[1:], date(2017, 1, 3)]) == []
    assert set(catalog.unpublished_sessions()) == {days[0]}
    assert catalog.published_since(days) == {}


def test_the_catalog_says_since_when_a_session_is_published(catalog: Any) -> None:
    before = catalog.now() if isinstance(catalog, FakeCatalog) else datetime.now(UTC) - timedelta(seconds=2)
    catalog.register({date(2018, 1, 2): "s3://bucket/a/"})
    catalog.publish(date(2018, 1, 3), "s3://bucket/b/")
    since = catalog.published_since([date(2018, 1, day) for day in (2, 3, 4)])
    assert set(since) == {date(2018, 1, 2), date(2018, 1, 3)}
    assert all(before <= time <= before + timedelta(minutes=5) for time in since.values())


def test_the_catalog_is_asked_about_many_sessions_at_once(catalog: Any) -> None:
    days = list(trading_days(date(2012, 1, 3), date(2018, 12, 31)))
    catalog.register({day: f"s3://bucket/{day}/" for day in (days[0], days[-1])})
    assert len(days) > 1_000  # more than one call of Glue takes
    assert set(catalog.published_since(days)) == {days[0], days[-1]}


def test_the_years_of_projected_tables_only_grow_and_nothing_else_of_them_changes(clients: Clients) -> None:
    glue = GlueCatalog(clients.glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()

    def table(name: str) -> dict[str, Any]:
        found: Any = clients.glue.get_table(DatabaseName=glue.database, Name=name)["Table"]
        return {
            key: found[key] for key in ("Description", "Parameters", "PartitionKeys", "StorageDescriptor", "TableType")
        }

    names = ("raw_trades", "rejected_records")
    before = [table(name) for name in names]
    for years, expected in (((2026, 2030), "2026,2035"), ((2018, 2030), "2018,2035"), ((2026, 2041), "2018,2041")):
        glue.widen_years(*years)
        for name, was in zip(names, before, strict=True):
            was["Parameters"]["projection.year.range"] = expected
            assert table(name) == was


def test_years_are_widened_in_a_database_without_a_quarantine(clients: Clients) -> None:
    """The DDL alone makes no `rejected_records`."""
    glue = GlueCatalog(clients.glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()
    clients.glue.delete_table(DatabaseName=glue.database, Name="rejected_records")
    glue.widen_years(2018, 2018)
    table = clients.glue.get_table(DatabaseName=glue.database, Name="raw_trades")["Table"]
    assert table["Parameters"]["projection.year.range"] == "2018,2035"


def test_creating_the_catalog_twice_keeps_it(clients: Clients) -> None:
    glue = GlueCatalog(clients.glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()
    glue.publish(date(2018, 1, 2), "s3://bucket/a/")
    glue.create()
    assert glue.published_locations() == {date(2018, 1, 2): "s3://bucket/a/"}


def test_a_table_gains_columns_and_never_loses_or_changes_one(clients: Clients) -> None:
    glue = GlueCatalog(clients.glue, f"db_{uuid.uuid4().hex}", "bucket")
    glue.create()

    def columns() -> list[str]:
        table = clients.glue.get_table(DatabaseName=glue.database, Name="trades")["Table"]
        return [column["Name"] for column in table["StorageDescriptor"]["Columns"]]

    every = columns()
    older = glue.curated_table_input()
    older["StorageDescriptor"]["Columns"] = list(older["StorageDescriptor"]["Columns"])[:-2]
    clients.glue.update_table(DatabaseName=glue.database, TableInput=older)
    glue.evolve()
    assert columns() == every
    other = glue.curated_table_input()
    other["StorageDescriptor"]["Columns"] = [{"Name": "price", "Type": "double"}]
    clients.glue.update_table(DatabaseName=glue.database, TableInput=other)
    with pytest.raises(IncompatibleSchemaError, match="only add columns"):
        glue.evolve()

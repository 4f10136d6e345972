"""What runs on the lake in the state machines: compaction by either engine, collection, rebuild."""

from collections.abc import Callable
from dataclasses import replace

from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
from tests.fakes.sql_engine import FakeSqlQueries
from tests.fakes.stores import FakeCatalog, FakeObjectStore
from tests.support.lake import SESSION, Lake

Work = Callable[[FakeObjectStore, FakeCatalog], None]

WORKS = ("compact", "compact by SQL", "collect", "rebuild")


def work(lake: Lake, name: str, run: str, allow_missing: bool = False) -> Work:
    """Return one of `WORKS` on a lake, to be done through any view of its store and catalog.

    run: a name of its own, for the prefix of a version that SQL writes.
    """

    def compact(store: FakeObjectStore, catalog: FakeCatalog, by_sql: bool = False) -> None:
        compactor = lake.compactor_on(store, catalog)
        if by_sql:
            compactor = replace(compactor, sql_queries=FakeSqlQueries(store, name=run))
        compactor.compact(SESSION, allow_missing)

    def collect(store: FakeObjectStore, catalog: FakeCatalog) -> None:
        collector = replace(lake.garbage_collector(), lake=store, catalog=catalog)
        list(collector.collect())

    def rebuild(store: FakeObjectStore, catalog: FakeCatalog) -> None:
        unpublished = replace(lake.unpublished_on(catalog), lake=store)
        CatalogRebuild(store, catalog, lambda: lake.now, unpublished).run()

    return {
        "compact": compact,
        "compact by SQL": lambda store, catalog: compact(store, catalog, by_sql=True),
        "collect": collect,
        "rebuild": rebuild,
    }[name]

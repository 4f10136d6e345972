"""`stock-pipeline catalog`: the tables and partitions of the catalog."""

import argparse
import os

from stock_pipeline.commands.parsers import Commands


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("catalog", help="the lake's tables and partitions in the catalog")
    actions = parser.add_subparsers(required=True, metavar="ACTION", title="actions")
    rebuild = actions.add_parser(
        "rebuild",
        help="make the catalog anew from what lies in the lake",
        description="Creates database and tables where they are missing, adds columns that are new, and registers "
        "every session by its head, or by its manifests alone where the head is lost.",
    )
    rebuild.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
    from stock_pipeline.lake.publication import Publication
    from stock_pipeline.settings import Settings
    from stock_pipeline.wiring import Wiring, utc_now

    with Wiring.open(Settings.from_env(os.environ)) as wiring:
        wiring.catalog.create()
        wiring.catalog.evolve()
        rebuilt = CatalogRebuild(Publication(wiring.objects, wiring.catalog, utc_now)).run()
        print(
            f"{rebuilt.sessions:,} sessions have a published version: {rebuilt.registered:,} were registered, "
            f"{rebuilt.heads:,} heads were made anew"
        )
        return 0

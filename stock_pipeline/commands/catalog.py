"""`stock-pipeline catalog`: rebuild the catalog's tables and partitions."""

import argparse

from stock_pipeline.commands.environment import BUCKET, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command


def add_to(commands: Commands) -> None:
    example = "stock-pipeline catalog rebuild"
    parser = add_command(
        commands,
        "catalog",
        summary="rebuild the lake's tables and partitions in the catalog",
        description="Works on the tables and partitions that readers of the lake find in the catalog.",
        example=example,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", title="actions")
    rebuild = add_command(
        actions,
        "rebuild",
        summary="make the catalog anew from the objects in the lake",
        description="Creates missing databases and tables, adds new columns, and registers every session by its head, "
        "or by its manifests alone where the head is lost, and the raw files of unpublished sessions.",
        example=example,
    )
    add_env(rebuild)
    rebuild.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
    from stock_pipeline.wiring import Wiring, utc_now

    with Wiring.open(settings_of(options, BUCKET)) as wiring:
        wiring.catalog.create()
        wiring.catalog.evolve()
        rebuilt = CatalogRebuild(wiring.objects, wiring.catalog, utc_now, wiring.unpublished_sessions()).run()
        print(
            f"{rebuilt.sessions:,} sessions have a published version: {rebuilt.registered:,} were registered, "
            f"{rebuilt.heads:,} heads were made anew"
        )
        if rebuilt.unpublished:
            print(f"{rebuilt.unpublished:,} unpublished sessions were registered")
        return 0

"""Whose call it is: the role that a piece of code has in an account.

A call is its entrypoint's, which is the outermost frame that belongs to one. A test that has no entrypoint, because it
drives a use case directly, is told by the package that it drives. Adapters alone (`stock_pipeline/aws`) are nobody's.
"""

from collections.abc import Iterable, Sequence

Roles = tuple[str, ...]

PRODUCER, PROCESSOR, REDRIVE = "producer", "processor", "redrive"
WORK, CONTROL, PRODUCE, PAGE = "dagster-work", "dagster-control", "dagster-produce", "dagster-page"
EXECUTION, SCHEDULER = "dagster-execution", "scheduler"
PERSON = "person"
"""Whoever types a command, with rights of their own."""

LAPTOP = "laptop"
"""The local stack, which plays AWS: in an account nobody makes its calls."""

DUCKDB = "stock_pipeline.local.duckdb"
"""What dbt, in Dagster's own process, and the page read the lake by where no Athena is: on a laptop."""

NOBODY: Roles = ()
"""A frame that says nothing; the frames further in may."""

UNKNOWN = "unknown"

ENTRYPOINTS: dict[str, Roles] = {
    "lambdas.producer": (PRODUCER,),
    "lambdas.processor": (PROCESSOR,),
    "lambdas.redrive": (REDRIVE,),
    "stock_pipeline.orchestration": (WORK,),
    "stock_pipeline.definitions": (WORK,),
    # the service `page` runs it
    "stock_pipeline.commands.serve": (PAGE,),
    "stock_pipeline.commands.page_facts": (PAGE,),
    # the service `stream-producer` runs it
    "stock_pipeline.commands.stream": (PRODUCE,),
    "stock_pipeline.commands": (PERSON,),
    # they start the local stack, in which the real entrypoints run
    "stock_pipeline.commands.demo": NOBODY,
    "stock_pipeline.commands.up": NOBODY,
    "stock_pipeline.commands.load": NOBODY,
    "stock_pipeline.read": (PERSON,),
    "dbt.adapters.athena": (WORK,),
    "dagster_aws.s3": (WORK,),
    "dagster_aws.ecs": (CONTROL,),
}

PACKAGES: dict[str, Roles] = {
    "stock_pipeline.lake": (WORK,),
    "stock_pipeline.lake.catalog_rebuild": (PERSON,),
    "stock_pipeline.restore": (PERSON,),
    "stock_pipeline.lake.raw_import": (PERSON,),
    "stock_pipeline.redrive": (REDRIVE, WORK),
    # what was parked comes back when somebody asks for it
    "stock_pipeline.redrive.parked_messages": (PERSON,),
    "stock_pipeline.streaming.processor": (PROCESSOR,),
    "stock_pipeline.streaming.raw_files": (PROCESSOR,),
    "stock_pipeline.streaming.quarantine": (PROCESSOR,),
    "stock_pipeline.streaming.state_writer": (PROCESSOR,),
    "stock_pipeline.streaming.producer": (PRODUCER, PRODUCE),
    "stock_pipeline.streaming.publisher": (PRODUCER, PRODUCE),
    "stock_pipeline.streaming.poll_loop": (PRODUCER,),
    "stock_pipeline.streaming.stream_sink": (PRODUCE,),
    "stock_pipeline.streaming.smoke": (PERSON,),
    "stock_pipeline.serving": (PAGE,),
    "stock_pipeline.local": (LAPTOP,),
    "stock_pipeline.commands": NOBODY,
    # parts that are handed a client; whoever made it is further out, or a test
    "stock_pipeline.aws": NOBODY,
    "stock_pipeline.wiring": NOBODY,
    "stock_pipeline.streaming.worker_thread": NOBODY,
    "stock_pipeline.streaming.back_off": NOBODY,
    "stock_pipeline.cli": NOBODY,
    "stock_pipeline.providers": NOBODY,
    "stock_pipeline.domain": NOBODY,
    "stock_pipeline.files": NOBODY,
}


def _of(table: dict[str, Roles], module: str) -> Roles | None:
    """Return the roles of the longest prefix that a table has."""
    while module:
        if module in table:
            return table[module]
        module = module.rpartition(".")[0]
    return None


def roles_of(modules: Sequence[str]) -> Roles:
    """Return whose call it is.

    modules: of the frames, outermost first. A package that no table names gives `unknown`, which no run lets pass.
    """
    for roles in _each(ENTRYPOINTS, modules):
        if roles in ((WORK,), (PAGE,)) and any(module.startswith(DUCKDB) for module in modules):
            return (LAPTOP,)
        if roles != (PERSON,):
            return roles
        # the same use case runs in an account, called by its own entrypoint
        inner = roles_of([module for module in modules if _of(ENTRYPOINTS, module) != (PERSON,)])
        return tuple(dict.fromkeys((PERSON, *inner)))
    ours = [module for module in modules if module.startswith("stock_pipeline.")]
    if not ours:
        return NOBODY
    for module in ours:
        roles = _of(PACKAGES, module)
        if roles is None:
            return (f"{UNKNOWN}:{module}",)
        if roles:
            return roles
    return NOBODY


def _each(table: dict[str, Roles], modules: Iterable[str]) -> Iterable[Roles]:
    return (roles for module in modules if (roles := _of(table, module)))

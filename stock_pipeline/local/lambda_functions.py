"""The functions of `lambdas/`, called in the local stack as AWS calls them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.errors import PermanentError
from stock_pipeline.local.event_source.failure_destination import S3FailureDestination
from stock_pipeline.local.event_source.function_runtime import Handler, LocalFunction
from stock_pipeline.local.event_source.machine import Machine
from stock_pipeline.local.event_source.mapping import EventSourceMapping
from stock_pipeline.local.event_source.observer import PollerObserver
from stock_pipeline.local.event_source.poller import EventSourcePoller, mapping_uuid
from stock_pipeline.local.event_source.shard_consumer import BACK_OFF, PollerWiring
from stock_pipeline.local.event_source.shard_record import EventSource
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.project_files import PROJECT

ACCOUNT = "123456789012"
"""moto's own."""


def load_handler(name: str, write_log: Callable[[str], object]) -> Handler:
    """Import the handler in `lambdas/<name>/app.py` afresh; its first call reads its settings.

    write_log: takes each line the function logs, because its standard output is the stack's terminal.
    """
    path = PROJECT / "lambdas" / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"{name}_lambda", path)
    if spec is None or spec.loader is None or not path.exists():
        raise PermanentError(f"{path} is missing: run the local stack from a checkout of the repository")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["print"] = write_log
    handler: Handler = module.handler
    return handler


def log_file(stack: LocalStack, name: str) -> Callable[[str], object]:
    """Return a function that appends lines to `logs/<name>.log` beside the stack's database."""
    path = Path(stack.settings.duckdb_path).parent / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(line: str) -> None:
        # one write a line: threads of several shards share the file
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    return write


def processor_poller(stack: LocalStack, observer: PollerObserver) -> EventSourcePoller:
    """Return the processor's event source mapping, with the settings that Terraform gives it."""
    return poller(stack, load_handler("processor", log_file(stack, "processor")), observer, BACK_OFF)


def poller(stack: LocalStack, processor: Handler, observer: PollerObserver, back_off: BackOff) -> EventSourcePoller:
    """Return the same mapping with another handler and other pauses between tries."""
    settings = stack.settings
    arn = f"arn:aws:lambda:{settings.aws_region}:{ACCOUNT}:function:{settings.project_name}-processor"
    stream_arn = f"arn:aws:kinesis:{settings.aws_region}:{ACCOUNT}:stream/{settings.stream_name}"
    clients = stack.clients
    return EventSourcePoller(
        PollerWiring(
            kinesis=clients.kinesis,
            function=LocalFunction(processor, arn),
            destination=S3FailureDestination(
                clients.s3, settings.bucket_name, clients.sqs, settings.require_dead_letter_queue_url()
            ),
            mapping=EventSourceMapping.from_json((PROJECT / "infra" / "event_source_mapping.json").read_text()),
            source=EventSource(stream_arn, f"arn:aws:iam::{ACCOUNT}:role/{settings.project_name}-processor"),
            mapping_uuid=mapping_uuid(stream_arn, arn),
            machine=Machine.real(),
            back_off=back_off,
            observer=observer,
        )
    )

"""The Lambda functions of `lambdas/`, called by the local stack as AWS would call them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from stock_pipeline.errors import PermanentError
from stock_pipeline.local.event_source.failure_destination import S3FailureDestination
from stock_pipeline.local.event_source.function_runtime import Handler, LocalFunction
from stock_pipeline.local.event_source.mapping import EventSourceMapping
from stock_pipeline.local.event_source.observer import Observer
from stock_pipeline.local.event_source.poller import EventSourcePoller, mapping_uuid
from stock_pipeline.local.event_source.shard_consumer import PollerWiring
from stock_pipeline.local.event_source.shard_lane import Backoff
from stock_pipeline.local.event_source.stream_record import EventSource
from stock_pipeline.local.event_source.surroundings import Surroundings
from stock_pipeline.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
"""moto's own."""


def load_handler(name: str, write_log: Callable[[str], object]) -> Handler:
    """The handler in `lambdas/<name>/app.py`, freshly imported: it reads its settings when it is first called.

    write_log: takes each line that the function logs. In an account a function's standard output is its log; here it is
    the terminal of whoever runs the stack.
    """
    path = ROOT / "lambdas" / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"{name}_lambda", path)
    if spec is None or spec.loader is None or not path.exists():
        raise PermanentError(f"{path} is not there: the local stack runs from a checkout of the repository")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["print"] = write_log
    handler: Handler = module.handler
    return handler


def log_file(stack: LocalStack, name: str) -> Callable[[str], object]:
    """Appends lines to `logs/<name>.log` beside the stack's database."""
    path = Path(stack.settings.duckdb_path).parent / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(line: str) -> None:
        # one write a line: threads of several shards share the file
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    return write


def processor_poller(stack: LocalStack, observer: Observer) -> EventSourcePoller:
    """The processor Lambda's event source mapping, with the settings that Terraform gives it in an account."""
    return poller(stack, load_handler("processor", log_file(stack, "processor")), observer, Backoff())


def poller(stack: LocalStack, processor: Handler, observer: Observer, backoff: Backoff) -> EventSourcePoller:
    """The same with a handler in the processor's place, and pauses of one's own between tries."""
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
            mapping=EventSourceMapping.from_json((ROOT / "infra" / "event_source_mapping.json").read_text()),
            source=EventSource(stream_arn, f"arn:aws:iam::{ACCOUNT}:role/{settings.project_name}-processor"),
            mapping_uuid=mapping_uuid(stream_arn, arn),
            surroundings=Surroundings.of_this_machine(),
            backoff=backoff,
            observer=observer,
        )
    )

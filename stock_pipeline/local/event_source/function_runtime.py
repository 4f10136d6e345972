"""Calling a handler as Lambda does: a context, a JSON answer, every `Exception` a function error.

Retries and batches belong to `mapping`. Other kinds of `BaseException` pass through, because they end the process.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from stock_pipeline.errors import RetryableError
from stock_pipeline.local.event_source.machine import Machine

UNHANDLED = "Unhandled"
"""Lambda's `functionError`, for exceptions and time-outs alike."""


class FunctionTimedOutError(RetryableError):
    """The function ran longer than its time-out, or a handler simulates that."""


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The second argument of a handler."""

    aws_request_id: str
    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    deadline: datetime
    now: Callable[[], datetime]
    function_version: str = "$LATEST"

    @property
    def log_group_name(self) -> str:
        return f"/aws/lambda/{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        return f"local/[{self.function_version}]"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, (self.deadline - self.now()) // timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call that came back.

    error: the exception behind a function error.
    """

    request_id: str
    response: Any = None
    function_error: str | None = None
    error: Exception | None = field(default=None, compare=False)


Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class LocalFunction:
    """A handler and its settings in Lambda."""

    handler: Handler
    function_arn: str
    timeout_seconds: float = 60.0
    memory_limit_in_mb: int = 512

    @property
    def name(self) -> str:
        return self.function_arn.split(":")[6]

    def invoke(self, event: dict[str, Any], machine: Machine) -> Invocation:
        context = self._context(machine)
        try:
            response = _as_json(self.handler(event, context))
            self._check_deadline(context)
        except Exception as error:
            return Invocation(context.aws_request_id, None, UNHANDLED, error)
        return Invocation(context.aws_request_id, response)

    def _context(self, machine: Machine) -> LambdaContext:
        return LambdaContext(
            aws_request_id=str(machine.new_uuid()),
            function_name=self.name,
            invoked_function_arn=self.function_arn,
            memory_limit_in_mb=self.memory_limit_in_mb,
            deadline=machine.now() + timedelta(seconds=self.timeout_seconds),
            now=machine.now,
        )

    def _check_deadline(self, context: LambdaContext) -> None:
        # A thread can't be cut off as Lambda cuts off a process, but an answer after the deadline never counts.
        if context.now() > context.deadline:
            raise FunctionTimedOutError(
                f"Task timed out after {self.timeout_seconds:.2f} seconds: give it fewer records, or more time"
            )


def _as_json(response: Any) -> Any:
    """Return the answer as the wire carries it; raise if it is not JSON."""
    return json.loads(json.dumps(response, allow_nan=False))

"""A handler called as Lambda calls it: the context it gets, and which answers are function errors."""

from typing import Any

from stock_pipeline.local.event_source.function_runtime import LambdaContext, LocalFunction
from tests.fakes.machine import fake_machine
from tests.support.clock import Clock
from tests.support.stream_batches import FUNCTION_ARN


def test_the_handler_gets_a_context_as_in_lambda() -> None:
    clock = Clock()
    seen: list[LambdaContext] = []

    def handler(event: Any, context: LambdaContext) -> None:
        clock.pass_by(1.5)
        seen.append(context)

    invocation = LocalFunction(handler, FUNCTION_ARN, timeout_seconds=3).invoke({}, fake_machine(clock))
    (context,) = seen
    assert context.aws_request_id == invocation.request_id
    assert context.function_name == "processor"
    assert context.invoked_function_arn == FUNCTION_ARN
    assert context.memory_limit_in_mb == 512
    assert context.log_group_name == "/aws/lambda/processor"
    assert context.get_remaining_time_in_millis() == 1500
    clock.pass_by(10)
    assert context.get_remaining_time_in_millis() == 0


def test_errors_late_answers_and_bad_json_are_function_errors() -> None:
    clock = Clock()

    def raises(event: Any, context: Any) -> None:
        raise KeyError("price")

    def is_late(event: Any, context: Any) -> None:
        clock.pass_by(3.001)

    for handler in (raises, is_late, lambda event, context: {1, 2}, lambda event, context: float("nan")):
        invocation = LocalFunction(handler, FUNCTION_ARN, timeout_seconds=3).invoke({}, fake_machine(clock))
        assert invocation.function_error == "Unhandled"
        assert invocation.error is not None

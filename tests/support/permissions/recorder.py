"""Hears every call that boto3 makes in a process of the tests, and whose it is.

Each new botocore session registers `botocore.handlers.BUILTIN_HANDLERS`, so one more of them hears all clients, those
of dbt's adapter and of Dagster's libraries too. Threads remember who started them.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore import handlers

from tests.support.permissions.api_calls import Call, asked
from tests.support.permissions.owners import roles_of

ROOT = str(Path(__file__).parents[3]) + "/"


class Recorder:
    """Calls made in this process.

    spill: a file that each new call is added to, which a parent process reads.
    """

    def __init__(self, spill: Path | None = None) -> None:
        self.calls: set[Call] = set()
        self._spill = spill
        self._origin = threading.local()

    def install(self) -> None:
        handlers.BUILTIN_HANDLERS.append(("provide-client-params", self._hear))
        self._follow_threads()

    def _hear(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        roles = roles_of(list(self._modules()))
        if not roles:
            return
        service = model.service_model.endpoint_prefix
        service = _SERVICES.get(service, service)
        for action, resource, detail in asked(service, model.name, params):
            for role in roles:
                self._add(Call(role, action, resource, detail))

    def _add(self, call: Call) -> None:
        if call in self.calls:
            return
        self.calls.add(call)
        if self._spill is not None:
            with self._spill.open("a", encoding="utf-8") as file:
                file.write(call.line() + "\n")

    def _modules(self) -> Iterator[str]:
        """Yield the modules of the frames that led here, outermost first."""
        yield from getattr(self._origin, "modules", ())
        yield from reversed(list(_frames_of_this_thread()))

    def _follow_threads(self) -> None:
        """Let a thread know the frames that started it, and a pool's task those that submitted it."""
        recorder = self
        start, submit = threading.Thread.start, ThreadPoolExecutor.submit

        def carried(target: Any) -> Any:
            modules = tuple(recorder._modules())

            def run(*args: Any, **kwargs: Any) -> Any:
                before = getattr(recorder._origin, "modules", ())
                recorder._origin.modules = modules
                try:
                    return target(*args, **kwargs)
                finally:
                    recorder._origin.modules = before

            return run

        def started(thread: Any, *args: Any, **kwargs: Any) -> None:
            thread.run = carried(thread.run)
            start(thread, *args, **kwargs)

        def submitted(pool: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
            return submit(pool, carried(function), *args, **kwargs)

        threading.Thread.start = started  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = submitted  # type: ignore[method-assign,assignment]


_SERVICES = {"api.ecr": "ecr", "monitoring": "cloudwatch"}
"""Where IAM's name of a service is another than its endpoint's."""


def _frames_of_this_thread() -> Iterator[str]:
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(ROOT) and "/.venv/" not in path:
            yield path[len(ROOT) :].removesuffix(".py").replace("/", ".")
        elif "site-packages/dagster_aws/" in path or "site-packages/dbt/adapters/athena/" in path:
            yield path.partition("site-packages/")[2].removesuffix(".py").replace("/", ".")
        frame = frame.f_back  # type: ignore[assignment]

"""What can go wrong, as a small tree: one sentence each, and it says what to do.

Three kinds matter to a caller. A `PermanentError` will fail the same way again: somebody must change
something. A `RetryableError` may succeed later. Anything else is a defect and is not caught.
"""


class StockPipelineError(Exception):
    """The root of every error that this project raises on purpose."""


class PermanentError(StockPipelineError):
    """Trying again without a change gives the same result."""


class RetryableError(StockPipelineError):
    """The same call may succeed later: throttling, a time-out, a lost race."""


class SettingsError(PermanentError):
    """A setting is missing or has a value that can't be used; the message names it."""


class InvalidTradeError(PermanentError):
    """A trade breaks the contract. `reason` is a `domain.rejection.Reason`, `detail` says which field and why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class InputFileError(PermanentError):
    """A file given by the user can't be read as trades; the message names the file and what it lacks."""


class StateConflictError(RetryableError):
    """Somebody else wrote the symbol's state between our read and our write."""


class PublishConflictError(RetryableError):
    """Another run published the partition between our plan and our publish: plan again."""


class ProofError(PermanentError):
    """A compacted file does not hold the trades of its inputs. Nothing was published; readers keep the old version."""


class UnreadableInputError(PermanentError):
    """Raw files that can't be read as trades; the message names them. Nothing was published."""


class HeadLostError(PermanentError):
    """A partition was published before, but its head is gone: publishing anew would lose what only its version has."""


class IncompatibleSchemaError(PermanentError):
    """A table's columns would change in a way that files which are there already do not follow."""

"""Redrive's ledger: for each message of the dead-letter queue what was done with it, when, and by which run.

Tries are counted here, because the queue counts every look at a message: also a dry run's, or one for another reason.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from stock_pipeline.domain.lake_layout import ledger_key
from stock_pipeline.redrive.ports import LedgerObjects


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a message. `at` is UTC in ISO 8601. `lines` were published and confirmed, `rejected` are no trades."""

    at: str
    run_id: str
    action: str
    why: str
    lines: int
    rejected: int


@dataclass(frozen=True)
class RedriveLedger:
    objects: LedgerObjects

    def tries(self, message_id: str) -> tuple[Try, ...]:
        """Those so far, the first one first."""
        body = self.objects.get_if_there(ledger_key(message_id))
        return tuple(Try(**entry) for entry in json.loads(body)["tries"]) if body else ()

    def write(self, message_id: str, tries: Sequence[Try]) -> None:
        entry = {"message_id": message_id, "tries": [asdict(one) for one in tries]}
        self.objects.put(ledger_key(message_id), json.dumps(entry).encode())

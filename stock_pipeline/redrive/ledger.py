"""Redrive's ledger: what was done with each message of the dead-letter queue, when, and by which run.

Tries are counted here, because the queue also counts receives that try nothing, such as a dry run's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from stock_pipeline.domain.lake_layout import ledger_key
from stock_pipeline.redrive.ports import LedgerObjects


@dataclass(frozen=True, slots=True)
class Try:
    """A try of a message.

    at: UTC in ISO 8601.
    lines: number published and confirmed.
    rejected: number rejected again.
    """

    at: str = ""
    run_id: str = ""
    action: str = ""
    why: str = ""
    lines: int = 0
    rejected: int = 0

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Try":
        """Read an entry of this release, of an older one, or of a newer one, which may have other fields."""
        return cls(**{field.name: entry[field.name] for field in fields(cls) if field.name in entry})


@dataclass(frozen=True)
class RedriveLedger:
    objects: LedgerObjects

    def tries(self, message_id: str) -> tuple[Try, ...]:
        """Return the message's tries so far, the first one first. An object that can't be understood has none."""
        body = self.objects.get_if_there(ledger_key(message_id))
        try:
            return tuple(Try.of(entry) for entry in json.loads(body)["tries"]) if body else ()
        except (ValueError, KeyError, TypeError):
            return ()

    def write(self, message_id: str, tries: Sequence[Try]) -> None:
        entry = {"message_id": message_id, "tries": [asdict(one) for one in tries]}
        self.objects.put(ledger_key(message_id), json.dumps(entry).encode())

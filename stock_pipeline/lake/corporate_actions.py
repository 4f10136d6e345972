"""The log of corporate actions in the lake: a small Parquet file for each answer that brought news.

The table `corporate_actions` reads all of them. A file is written once and never changed, so two fetches at once write
the same news twice, which says nothing else than once.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.domain.corporate_action import (
    ACTION_COLUMNS,
    FIELDS,
    ActionKind,
    CorporateAction,
    InvalidActionError,
    News,
)
from stock_pipeline.domain.lake_layout import ACTIONS_PREFIX, actions_key
from stock_pipeline.errors import PermanentError
from stock_pipeline.lake.lake_access import Lake

_ARROW_TYPES = {
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "decimal(18,9)": pa.decimal128(18, 9),
    "boolean": pa.bool_(),
}

SCHEMA = pa.schema([pa.field(column.name, _ARROW_TYPES[column.sql_type], nullable=False) for column in ACTION_COLUMNS])


@dataclass(frozen=True)
class CorporateActionLog:
    """News of corporate actions, in the order in which they were learned."""

    objects: Lake

    def read(self) -> list[News]:
        """Return all news.

        Raises `PermanentError` that names a file which can't be read, because half a log says what is not so.
        """
        news: list[News] = []
        for entry in self.objects.list(ACTIONS_PREFIX):
            try:
                table = pq.read_table(BytesIO(self.objects.get(entry.key)), schema=SCHEMA)
                news += [_news(row) for row in table.to_pylist()]
            except (pa.ArrowException, OSError, InvalidActionError, ValueError) as error:
                raise PermanentError(
                    f"{entry.key} can't be read ({error}): restore its previous version in the bucket, or delete it; "
                    "what it said is then learned again, with a later time"
                ) from error
        return sorted(news, key=lambda piece: piece.learned_at)

    def append(self, news: Sequence[News]) -> str | None:
        """Write news as one file and return its key; None where there is none."""
        if not news:
            return None
        columns = {name: [piece.row()[name] for piece in news] for name in SCHEMA.names}
        file = BytesIO()
        pq.write_table(pa.table(columns, schema=SCHEMA), file, compression="zstd")
        body = file.getvalue()
        key = actions_key(news[0].learned_at, hashlib.sha256(body).hexdigest()[:16])
        self.objects.put_if_absent(key, body)
        return key

    @staticmethod
    def time_of_next(now: datetime, news: Sequence[News]) -> datetime:
        """Return the time of what is learned now: after all that is known, whatever the clock says."""
        return max([now, *(piece.learned_at + timedelta(microseconds=1) for piece in news)])


def _news(row: dict[str, object]) -> News:
    values = {name: row[name] for name in FIELDS} | {"kind": ActionKind(str(row["kind"]))}
    action = CorporateAction(**values)  # type: ignore[arg-type]
    learned_at, is_withdrawn = row["learned_at"], row["is_withdrawn"]
    assert isinstance(learned_at, datetime)
    return News(action, str(row["source"]), learned_at, bool(is_withdrawn))

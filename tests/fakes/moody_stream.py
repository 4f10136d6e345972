"""A stream that takes some records of a call and refuses others."""

from collections.abc import Sequence

from stock_pipeline.streaming.record_packing import PackedRecord


class MoodyStream:
    """Refuses records as its script says: one list of places for each call."""

    def __init__(self, refusals: list[set[int]]) -> None:
        self.refusals = refusals
        self.taken: list[PackedRecord] = []

    def put(self, records: Sequence[PackedRecord]) -> list[str | None]:
        refused = self.refusals.pop(0) if self.refusals else set()
        answers = []
        for place, record in enumerate(records):
            if place in refused:
                answers.append("ProvisionedThroughputExceededException")
            else:
                self.taken.append(record)
                answers.append(None)
        return answers

"""Redrive: messages of the dead-letter queue back into the stream, each deleted only once its lines are safe.

For each message a run fetches its lines, lets `domain.redrive_plan` decide, and acts: publish, confirm, keep what was
rejected again, write the ledger, delete. A crash in this order loses nothing. Redriving twice is harmless, because the
event ids are the same. A message whose lines have expired is deleted only on request.

Whatever a message raises is that message's: it counts as a try, and the run goes on.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.lake_layout import parked_key
from stock_pipeline.domain.redrive_plan import (
    MAX_TRIES,
    Action,
    Drop,
    Expired,
    Leave,
    Park,
    Publish,
    QueueMessage,
    Unredrivable,
    plan,
)
from stock_pipeline.domain.rejection import MAX_REJECTIONS_OF_RECORD, Reason, Rejection
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.redrive.ledger import RedriveLedger, Try
from stock_pipeline.redrive.line_rate import Unlimited
from stock_pipeline.redrive.message_forms import complaint_of, is_rejection, message_of_lines, reason_of
from stock_pipeline.redrive.message_lines import MessageLines, Part, merged
from stock_pipeline.redrive.ports import MessageObjects, Rate, Received, RecordHistory, RedriveQueue
from stock_pipeline.redrive.redriven import Redriven
from stock_pipeline.redrive.report import Outcome, RedriveReport
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.record_lines import other_form
from stock_pipeline.streaming.record_packing import PackedRecord, partition_key
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.streaming.trade_json import decode_trade

EMPTY_ANSWERS = 2
"""After so many in a row the queue is taken for empty: SQS may answer so once although it is not."""

_NAMES = {Publish: "published", Park: "parked", Leave: "left", Expired: "expired", Drop: "dropped"}


class StayInQueue:
    """`Leftovers` that keep nothing: refused lines stay in their message."""

    def keep(self, records: Sequence[PackedRecord], reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a message.

    parts: what its origins gave.
    tries: number with this one; of its lines, if they came by other messages before.
    """

    action: Action
    parts: tuple[Part, ...]
    tries: int


@dataclass(frozen=True)
class Redrive:
    """Redrive, with everything it acts on.

    publisher: its leftovers are `StayInQueue`.
    run_id: names the run in the ledger.
    now: UTC.
    limits: what the processor judges trades by. A line that is published again arrives again, so that one rejected as
    `future` is a trade once its time has come.
    """

    queue: RedriveQueue
    objects: MessageObjects
    history: RecordHistory
    ledger: RedriveLedger
    publisher: Publisher
    buckets: int
    run_id: str
    now: Callable[[], datetime]
    rate: Rate = field(default_factory=Unlimited)
    limits: ArrivalLimits = field(default_factory=ArrivalLimits)

    def run(
        self,
        limit: int,
        deadline_ns: int,
        dry_run: bool = False,
        reason: Reason | None = None,
        park_expired: bool = False,
    ) -> RedriveReport:
        """Redrive up to `limit` messages before the deadline (nanoseconds, the publisher's clock).

        dry_run: decide only; every message stays as it is.
        reason: only lines that were rejected for it.
        park_expired: park messages whose lines have expired, once these came from elsewhere.
        """
        redriven = Redriven.load(self.ledger.objects)
        outcomes: dict[str, Outcome] = {}
        untouched: list[Received] = []
        sent_at: dict[str, float] = {}
        trouble = ""
        empty = 0
        while empty < EMPTY_ANSWERS and len(outcomes) < limit and self.publisher.now_ns() < deadline_ns:
            try:
                batch = self.queue.receive(min(10, limit - len(outcomes)))
            except Exception as error:
                if not outcomes:
                    raise
                # not without telling what was done
                trouble = _told(error)
                break
            empty = 0 if batch else empty + 1
            for received in batch:
                message = received.message
                sent_at[message.message_id] = message.sent_at
                is_other = reason is not None and reason_of(message.body) != reason
                # one that is here again was not left in time: another try at once would be none
                if dry_run or is_other or message.message_id in outcomes:
                    untouched.append(received)
                if not is_other and message.message_id not in outcomes:
                    outcomes[message.message_id] = (
                        self._look_at(message, redriven, park_expired)
                        if dry_run
                        else self._redrive(received, redriven, park_expired, deadline_ns)
                    )
        # only at the end, because this run would receive them again
        _put_back(untouched, outcomes)
        try:
            redriven.save()
        except Exception as error:
            # costs the lines of this run another try
            trouble = _told(error)
        left = [at for message_id, at in sent_at.items() if _is_left(outcomes.get(message_id))]
        oldest = max(0.0, self.now().timestamp() - min(left)) if left else 0.0
        return RedriveReport(tuple(outcomes.values()), trouble, oldest)

    def _look_at(self, message: QueueMessage, redriven: Redriven, park_expired: bool) -> Outcome:
        """Return what would be done."""
        try:
            earlier = self._earlier(message)
            outcome = _outcome(message, self._decide(message, earlier, redriven, park_expired))
            complaint = complaint_of(message.body) if outcome.needs_a_look else ""
            return replace(outcome, why=f"{outcome.why}: {complaint}") if complaint else outcome
        except Exception as error:
            return Outcome(message.message_id, 1, "left", _told(error), 0, 0)

    def _redrive(self, received: Received, redriven: Redriven, park_expired: bool, deadline_ns: int) -> Outcome:
        message = received.message
        earlier: Sequence[Try] | None = None
        try:
            earlier = self._earlier(message)
            decision = self._decide(message, earlier, redriven, park_expired)
            return self._carry_out(received, earlier, decision, redriven, deadline_ns)
        except Exception as error:
            return self._failed(received, earlier, _told(error))

    def _earlier(self, message: QueueMessage) -> tuple[Try, ...]:
        """Return the tries before this run."""
        return self.ledger.tries(message.message_id) if message.deliveries > 1 else ()

    def _decide(
        self, message: QueueMessage, earlier: Sequence[Try], redriven: Redriven, park_expired: bool
    ) -> Decision:
        lines = MessageLines(self.objects, self.history)
        # a producer that tries again tells twice of records that the stream refused
        parts = tuple(
            part for part in lines.parts(message.body) if not (part.kept_records and redriven.knows(part.kept_records))
        )
        tries = len(earlier) + 1
        if not parts:
            return Decision(Drop("it announces nothing, or what was redriven already"), parts, tries)
        found = merged(parts)
        if park_expired and isinstance(found.missing, Expired):
            found = replace(found, missing=Unredrivable(found.missing.why))
        action = plan(tries, found, self._is_trade, redriven.times, is_rejection(message.body))
        came_back = max(map(redriven.times, found.lines), default=0)
        return Decision(action, parts, max(tries, came_back + 1))

    def _carry_out(
        self,
        received: Received,
        earlier: Sequence[Try],
        decision: Decision,
        redriven: Redriven,
        deadline_ns: int,
    ) -> Outcome:
        action, outcome = decision.action, _outcome(received.message, decision)
        tries = (*earlier, self._try(outcome))
        if isinstance(action, Leave | Expired):
            # an expired message is looked at in every run: one entry is enough
            if isinstance(action, Leave) or not any(one.action == outcome.action for one in earlier):
                self.ledger.write(outcome.message_id, tries)
            return _let_go(received.release, outcome)
        if isinstance(action, Publish | Park) and action.lines:
            # neither counts as a try, because the message is not at fault
            if not self.rate.turn(len(action.lines), deadline_ns):
                return _let_go(received.put_back, _left(outcome, "the rate left no time for it"))
            trades = [decode_trade(line) for line in action.lines]
            if not self._publish(action.lines, trades, deadline_ns):
                return _let_go(received.release, _left(outcome, "the stream refused its lines"))
            redriven.add(action.lines)
            redriven.reopen(feed_session_date(trade.event_time_ns, trade.feed) for trade in trades)
        if isinstance(action, Publish | Park) and action.rejected:
            # not before, because a refusal would send them again in every run
            self.queue.send([message_bytes(one) for one in self._rejections(received.message, action.rejected)])
        if isinstance(action, Park):
            self._park(received.message, action.why, tries, decision.parts)
            redriven.park(action.spent)
        if isinstance(action, Publish):
            redriven.add(part.kept_records for part in decision.parts if part.kept_records)
        self.ledger.write(outcome.message_id, tries)
        return _let_go(received.delete, outcome)

    def _failed(self, received: Received, earlier: Sequence[Try] | None, why: str) -> Outcome:
        """Count what a message raised as a try of it.

        earlier: None if the ledger could not be read, so that a new entry would forget the tries in it.
        """
        message = received.message
        left = Outcome(message.message_id, len(earlier or ()) + 1, "left", why, 0, 0)
        if earlier is None:
            return _let_go(received.release, left)
        is_last = left.tries >= MAX_TRIES
        outcome = replace(left, action="parked", why=f"{why}, {left.tries} times") if is_last else left
        tries = (*earlier, self._try(outcome))
        try:
            if is_last:
                self._park(message, outcome.why, tries, ())
            self.ledger.write(message.message_id, tries)
        except Exception as error:
            return _let_go(received.release, _left(left, f"{why}; then {_told(error)}"))
        return _let_go(received.delete if is_last else received.release, outcome)

    def _park(self, message: QueueMessage, why: str, tries: Sequence[Try], parts: Sequence[Part]) -> None:
        fleeting = [line for part in parts if not part.endures for line in part.found.lines]
        body = message_of_lines(fleeting, why) if fleeting else message.body
        parked = {**asdict(message), "body": body, "why": why, "tries": [asdict(one) for one in tries]}
        self.objects.put(parked_key(message.message_id), json.dumps(parked).encode())

    def _publish(self, lines: Sequence[bytes], trades: Sequence[Trade], deadline_ns: int) -> bool:
        """Publish lines of trades. Return True if every one was confirmed."""
        keys = (partition_key(trade.symbol, self.buckets) for trade in trades)
        keyed = zip(keys, lines, strict=True)
        return self.publisher.publish_lines(keyed, deadline_ns).published == len(lines)

    def _rejections(self, message: QueueMessage, lines: Sequence[bytes]) -> list[Rejection]:
        """Return a rejection for each line, or one for all if that were too many messages.

        Records that stay whole have one each in any case.
        """
        single = [(number, line) for number, line in enumerate(lines) if other_form(line) is None]
        whole = [self._rejection(message, number, line) for number, line in enumerate(lines) if other_form(line)]
        if len(single) <= MAX_REJECTIONS_OF_RECORD:
            return whole + [self._rejection(message, number, line) for number, line in single]
        first = self._rejection(message, *single[0])
        detail = f"{len(single):,} lines are not trades, the first because: {first.detail}"
        payload = b"\n".join(line for _, line in single)
        return [*whole, replace(first, detail=detail, payload=payload, line=None, lines=len(single))]

    def _rejection(self, message: QueueMessage, number: int, line: bytes) -> Rejection:
        try:
            self._check(line)
        except InvalidTradeError as error:
            reason, detail = Reason(error.reason), error.detail
        return Rejection(reason, detail, line, "redrive", message.message_id, number, "", self.now().timestamp())

    def _is_trade(self, line: bytes) -> bool:
        try:
            self._check(line)
        except InvalidTradeError:
            return False
        return True

    def _check(self, line: bytes) -> None:
        """Raise `InvalidTradeError` for what the processor would reject if it arrived now."""
        form = other_form(line)
        if form is not None:
            raise InvalidTradeError(Reason.NOT_JSON, form)
        self.limits.check(decode_trade(line), round(self.now().timestamp() * 1e9))

    def _try(self, outcome: Outcome) -> Try:
        return Try(self.now().isoformat(), self.run_id, outcome.action, outcome.why, outcome.lines, outcome.rejected)


def _outcome(message: QueueMessage, decision: Decision) -> Outcome:
    """Return the outcome of a decision that is carried out."""
    action = decision.action
    lines, rejected = (action.lines, action.rejected) if isinstance(action, Publish | Park) else ((), ())
    why = "" if isinstance(action, Publish) else action.why
    return Outcome(message.message_id, decision.tries, _NAMES[type(action)], why, len(lines), len(rejected))


def _is_left(outcome: Outcome | None) -> bool:
    return outcome is None or outcome.action in ("left", "expired")


def _left(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, action="left", why=why, lines=0, rejected=0)


def _let_go(leave: Callable[[], None], outcome: Outcome) -> Outcome:
    """Delete or show a message, and return the outcome.

    Either fails if the message was out of hand by then: it is in the queue, and comes again.
    """
    try:
        leave()
    except Exception as error:
        action = "expired" if outcome.action == "expired" else "left"
        why = f"{outcome.why}; {_told(error)}" if outcome.why else _told(error)
        return replace(outcome, action=action, why=why)
    return outcome


def _put_back(untouched: Sequence[Received], outcomes: dict[str, Outcome]) -> None:
    """Show messages again. What can't be shown is told with its outcome."""
    for received in untouched:
        message_id = received.message.message_id
        before = outcomes.get(message_id, Outcome(message_id, 0, "left", "", 0, 0))
        after = _let_go(received.put_back, before)
        if after != before:
            outcomes[message_id] = after


def _told(error: Exception) -> str:
    """Return an error's kind and text."""
    return f"{type(error).__name__}: {str(error)[:500]}"

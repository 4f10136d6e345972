"""Which sessions queries read the raw files of."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.unpublished_plan import READERS_GRACE, UnpublishedPlan, plan_unpublished

NOW = datetime(2018, 1, 12, 12, tzinfo=UTC)
DAYS = [date(2018, 1, day) for day in range(1, 9)]
JUST, LONG_AGO = NOW - READERS_GRACE + timedelta(seconds=1), NOW - READERS_GRACE

some_days = st.sets(st.sampled_from(DAYS))


def test_an_unpublished_session_is_registered_once() -> None:
    assert plan_unpublished(DAYS[:3], {DAYS[0]}, {DAYS[1]: JUST}, NOW) == UnpublishedPlan((DAYS[2],), ())


def test_a_published_session_is_dropped_when_no_query_can_have_missed_the_publication() -> None:
    published = {DAYS[0]: JUST, DAYS[1]: LONG_AGO}
    assert plan_unpublished(DAYS, set(DAYS), published, NOW) == UnpublishedPlan((), (DAYS[1],))


def test_the_grace_is_longer_than_athenas_longest_query() -> None:
    assert timedelta(minutes=30) < READERS_GRACE


@given(some_days, some_days, st.dictionaries(st.sampled_from(DAYS), st.sampled_from([JUST, LONG_AGO])))
def test_after_the_plan_every_unpublished_session_is_registered_and_planning_again_plans_nothing(
    raw: set[date], registered: set[date], published: dict[date, datetime]
) -> None:
    plan = plan_unpublished(raw, registered, published, NOW)
    after = (registered | set(plan.register)) - set(plan.drop)
    assert raw - published.keys() <= after
    assert after <= registered | raw
    assert not {day for day in after if published.get(day) == LONG_AGO}
    assert registered & {day for day, since in published.items() if since == JUST} <= after
    assert plan_unpublished(raw, after, published, NOW) == UnpublishedPlan((), ())

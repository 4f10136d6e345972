"""Each part of a local stack that is lost comes back, by the commands of docs/restore.md."""

import pytest

from stock_pipeline.local.stack import LocalStack
from tests.support.restore_drill import STEPS, Drilled, World, compare, drill

pytestmark = [pytest.mark.xdist_group("lake"), pytest.mark.system]


@pytest.fixture
def world(stack: LocalStack) -> World:
    world = World(stack, trades_a_batch=10)
    world.fill()
    return world


def test_every_part_that_is_lost_comes_back(world: World) -> None:
    found = list(drill(world, STEPS))
    assert [done for done in found if done.failure or not done.compared] == []
    assert len(found) == len(STEPS)


def test_the_drill_says_what_did_not_come_back(world: World) -> None:
    def item_lost(world: World) -> Drilled:
        before = world.items()
        key = {name: before[0][name] for name in ("symbol", "feed")}
        world.dynamodb.delete_item(TableName=world.table, Key=key)
        return Drilled("item", 0, compare("items", before, world.items()))

    (done,) = drill(world, (item_lost,))
    assert done.failure == "NotRestoredError: items differ from what was there before"

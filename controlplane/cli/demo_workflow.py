"""The demo's workflow: an order is charged, by an activity. Imports nothing a sandbox minds."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow


@dataclass(frozen=True)
class Order:
    id: str
    cents: int


@activity.defn
async def charge(order: Order) -> str:
    """Return the receipt."""
    return f"receipt for order {order.id}: {order.cents / 100:.2f} charged"


@workflow.defn
class OrderWorkflow:
    @workflow.run
    async def run(self, order: Order) -> str:
        return await workflow.execute_activity(
            charge, order, start_to_close_timeout=timedelta(seconds=10)
        )

"""One send's units of all its limits, and its turn at the breaker: all of them, or none.

`limiter` tells what a send is counted under; `shared_limits` counts.
"""

from collections.abc import Awaitable, Callable, Container, Sequence

from service.core.breaker import Breaker
from service.core.limits import UNLIMITED, Limit, Limited, Unit
from service.core.phone import CountryNotAllowed
from service.core.shared_limits import SharedLimits
from service.core.store_health import StoreUnavailable


class Reservation:
    """Permission to send, and one unit of several limits: all of them, or none.

    A request that is refused, repeated or fails gives everything back: otherwise a flood of refused requests, which
    costs its sender nothing, would use up the limits that others share.
    """

    def __init__(
        self,
        limits: SharedLimits,
        units: Sequence[Unit],
        *,
        partition: str | None = None,
        breaker: Breaker | None = None,
        is_allowed: bool = True,
        price: Callable[[], Awaitable[Unit]] | None = None,
    ) -> None:
        self._limits = limits
        self._partition = partition  # of the number; None: of none
        self._is_allowed = is_allowed  # the channel may send to this country
        self._breaker = breaker
        self._probe: float | None = None
        self._price = price
        self._units = [unit for unit in units if unit.limits]
        self._granted: list[tuple[Unit, int]] = []

    async def ask(self) -> Limited | CountryNotAllowed | None:
        """Reserve all limits side by side, in one round trip; None when all grant, else the one with the longest wait.

        Raises `SendingHalted`, before anything is asked, and `StoreUnavailable`.
        """
        if not self._is_allowed:
            return CountryNotAllowed()
        price = [] if self._price is None else [await self._price()]
        units = [*self._units, *(unit for unit in price if unit.amount)]
        self._probe = None if self._breaker is None else self._breaker.admit()
        if not units:
            return None
        failure: StoreUnavailable | None = None
        refusals: list[Limited] = []
        for unit, answer in await self._limits.reserve(units, self._partition):
            if isinstance(answer, StoreUnavailable):
                failure = answer
            elif answer.wait_ms:
                # An API key is told that the budget is used up, not how large it is.
                told = UNLIMITED if unit.kind is Limit.BUDGET else unit.limits
                refusals.append(Limited(answer.wait_ms, unit.kind, told))
            else:
                self._granted.append((unit, answer.at_ms))
        if refusals or failure is not None:
            await self.give_back()
        if failure is not None:
            raise failure
        return max(refusals, key=lambda refusal: refusal.retry_after_ms, default=None)

    async def give_back(self) -> None:
        """Uncount what was granted; if the store fails here, it stays counted, which is the safe side."""
        self.end_probe()
        await self._give_back(list(Limit))

    async def give_back_money(self) -> None:
        """Uncount only what the send would have cost: nothing was sent, but the try counts."""
        await self._give_back([Limit.BUDGET])

    async def _give_back(self, kinds: Container[Limit]) -> None:
        returned = [(unit, at_ms) for unit, at_ms in self._granted if unit.kind in kinds]
        self._granted = [each for each in self._granted if each not in returned]
        if returned:
            await self._limits.give_back(returned)

    def end_probe(self) -> None:
        """Note the end of this send: if it was the breaker's probe and got no answer, another send may be the probe."""
        probe, self._probe = self._probe, None
        if self._breaker is not None and probe is not None:
            self._breaker.give_back(probe)

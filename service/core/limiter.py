"""The limits that protect the bill: by address, prefix, country, channel, day and budget, before a code exists.

The limits of one number are not here: they are counted in the same atomic step that writes the send
(`VerificationStore.issue`). If the store does not answer, the send is refused: limits of paid messages fail closed
(OWASP API4:2023). While a channel's provider fails, its breaker refuses a send first, and no limit counts it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Protocol

from service.core.addresses import network_of
from service.core.breaker import Breaker
from service.core.channels import Channel
from service.core.keyring import Keyring
from service.core.limits import UNLIMITED, Limit, Limits, LimitStore, Unit, parse_limits
from service.core.prices import Budget, BudgetUse
from service.core.profiles import Issued
from service.core.reservation import Reservation
from service.core.shared_limits import SharedLimits
from service.core.verification import partition_of

_SIGN_INS = parse_limits("10/10m,50/1d")  # of one address; an operator needs one a day


class ClientIpRequired(Exception):
    """`OTP_REQUIRE_CLIENT_IP` is on and the request names no client address."""


class Countable(Issued, Protocol):
    """What a send is counted by: a verification, new or not, has it."""

    @property
    def id(self) -> str:
        """The id of the verification, whose partition is that of the number."""

    @property
    def to(self) -> str:
        """The number."""

    @property
    def client_tag(self) -> str | None:
        """What the person's address is counted under."""


async def _one_segment(_: Issued) -> int:
    return 1


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """The limits that are counted beside those of the number."""

    client_ip: Limits = UNLIMITED
    api_key: Limits = UNLIMITED
    prefix: Limits = UNLIMITED
    country: Limits = UNLIMITED
    day: Limits = UNLIMITED
    peer: Limits = UNLIMITED
    link: Limits = UNLIMITED
    channels: Mapping[str, Limits] = field(default_factory=dict)  # all sends by a channel
    countries: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by channel; none: every country
    budget: Budget | None = None
    require_client_ip: bool = False


class Limiter:
    """Reserves every limit that a send or a client-token request must keep."""

    def __init__(
        self,
        store: LimitStore,
        keyring: Keyring,
        policy: LimitPolicy,
        *,
        breakers: Mapping[Channel, Breaker] = MappingProxyType({}),
        segments: Callable[[Issued], Awaitable[int]] = _one_segment,
    ) -> None:
        self._limits = SharedLimits(store)
        self._keyring = keyring
        self._policy = policy
        self._breakers = breakers
        self._segments = segments  # how many a text message may take
        self._shared_tag = lru_cache(maxsize=1024)(keyring.limit_tag)  # of what many sends share

    @property
    def requires_client_ip(self) -> bool:
        """Tell whether an issue without `client_ip` is refused."""
        return self._policy.require_client_ip

    def client_tag(self, client_ip: str | None) -> str | None:
        """Name what a person's address is counted under; a resend counts under it too. Raises `ClientIpRequired`."""
        if client_ip is None and self.requires_client_ip:
            raise ClientIpRequired
        return None if client_ip is None else self._keyring.limit_tag(Limit.CLIENT_IP, network_of(client_ip))

    def key_tag(self, caller: str | None) -> str:
        """Name what an API key is counted under; its verifications' resends by a front end count under it too.

        None: a verification that does not say which key issued it. All of them share one budget.
        """
        return self._shared_tag(Limit.API_KEY, caller or "")

    def reservation(self, send: Countable, channel: Channel, *, key_tag: str, is_test: bool = False) -> Reservation:
        """Prepare the limits of one send; nothing is asked yet."""
        to, country, client_tag = send.to, send.request.country, send.client_tag
        tag, shared = self._keyring.limit_tag, self._shared_tag
        units = [
            Unit(Limit.PREFIX, tag(Limit.PREFIX, to[:-4]), self._policy.prefix),
            Unit(Limit.COUNTRY, shared(Limit.COUNTRY, country), self._policy.country),
            Unit(Limit.DAY, shared(Limit.DAY, "all"), self._policy.day),
            Unit(Limit.API_KEY, key_tag, self._policy.api_key),
        ]
        if channel in self._policy.channels:
            units.append(Unit(Limit(channel), shared(Limit(channel), "all"), self._policy.channels[channel]))
        if client_tag is not None:
            units.append(Unit(Limit.CLIENT_IP, client_tag, self._policy.client_ip))
        # Nothing is sent to a test number.
        breaker = None if is_test else self._breakers.get(channel)
        budget = None if is_test else self._policy.budget
        price = None if budget is None else partial(self._price, budget, send, channel)
        is_allowed = self.reaches(channel, country)
        partition = partition_of(send.id)
        return Reservation(
            self._limits, units, partition=partition, breaker=breaker, is_allowed=is_allowed, price=price
        )

    def reaches(self, channel: Channel, country: str) -> bool:
        """Tell whether messages of a channel are sent to a country."""
        countries = self._policy.countries.get(channel)
        return not countries or country in countries

    async def _price(self, budget: Budget, send: Countable, channel: Channel) -> Unit:
        """Return what a send takes of the budget: an SMS costs each of its segments."""
        messages = await self._segments(send) if channel is Channel.SMS else 1
        return self._budget_unit(budget, budget.cost(send.request.country, channel, messages))

    async def budget_use(self) -> BudgetUse | None:
        """Tell how much of the budget is used; None without a budget. Raises `StoreUnavailable`."""
        budget = self._policy.budget
        if budget is None:
            return None
        used = await self._limits.used(self._budget_unit(budget, 1))
        return BudgetUse(used, budget.most, budget.prices.currency)

    def _budget_unit(self, budget: Budget, cost: int) -> Unit:
        return Unit(Limit.BUDGET, self._shared_tag(Limit.BUDGET, "all"), budget.limits, cost)

    async def admit_peer(self, address: str) -> None:
        """Reserve one request of a client-token holder. Raises `Limited`."""
        tag = self._keyring.limit_tag(Limit.PEER, network_of(address))
        await self._admit(Unit(Limit.PEER, tag, self._policy.peer))

    async def admit_link(self, address: str) -> None:
        """Reserve one request for the page of a link, by whom it comes from. Raises `Limited`."""
        tag = self._keyring.limit_tag(Limit.LINK, network_of(address))
        await self._admit(Unit(Limit.LINK, tag, self._policy.link))

    async def admit_sign_in(self, address: str) -> None:
        """Reserve one sign-in on the dashboard, by whom it comes from. Raises `Limited`."""
        tag = self._keyring.limit_tag(Limit.SIGN_IN, network_of(address))
        await self._admit(Unit(Limit.SIGN_IN, tag, _SIGN_INS))

    async def admit_search(self, caller: str) -> None:
        """Reserve one search of an API key: as many as its sends, but counted apart. Raises `Limited`."""
        tag = self._shared_tag(Limit.API_KEY, f"search|{caller}")
        await self._admit(Unit(Limit.API_KEY, tag, self._policy.api_key))

    async def _admit(self, unit: Unit) -> None:
        refusal = await Reservation(self._limits, [unit]).ask()
        if refusal is not None:
            raise refusal

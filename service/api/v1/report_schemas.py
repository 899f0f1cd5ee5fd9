"""The schemas of the reports. `core.reports` writes them; the models are the OpenAPI document."""

from pydantic import BaseModel, ConfigDict, Field

from service.api.v1.fields import Instant
from service.core.reports.question import Grouping

_COUNT = Field(json_schema_extra={"minimum": 0})
_RATE = "null when there is nothing to divide by."


class VerificationCounts(BaseModel):
    """Verifications by where they stand, in the hour of their issue. The states add up to the total."""

    total: int = _COUNT
    open: int = _COUNT
    approved: int = _COUNT
    locked: int = _COUNT
    canceled: int = _COUNT
    expired: int = _COUNT
    failed: int = _COUNT


class DeliveryCounts(BaseModel):
    """Sends by what Twilio says of them. They add up to the sends."""

    refused: int = _COUNT
    unknown: int = _COUNT
    accepted: int = _COUNT
    sent: int = _COUNT
    delivered: int = _COUNT
    undelivered: int = _COUNT
    failed: int = _COUNT


class SendCounts(DeliveryCounts):
    """Sends by their state, each in the hour in which it was sent. The states add up to the total."""

    total: int = _COUNT
    confirmed: int = _COUNT
    confirmed_late: int = _COUNT


class UnconvertedCounts(BaseModel):
    """Sends that did not convert, by the reason. They add up to the sends without the confirmed ones."""

    open: int = _COUNT
    not_accepted: int = _COUNT
    not_delivered: int = _COUNT
    no_report: int = _COUNT
    nothing_typed: int = _COUNT
    wrong_codes: int = _COUNT
    too_late: int = _COUNT
    another_send: int = _COUNT


class BlockedReason(BaseModel):
    """What refused sends, and how many."""

    reason: str = Field(description="The limit, or the rule: `country_not_allowed`, `invalid_number` …")
    count: int = _COUNT


class BlockedCounts(BaseModel):
    """Sends that the service refused before anything was sent: they are no sends."""

    total: int = _COUNT
    reasons: list[BlockedReason]


class Quantiles(BaseModel):
    """How long something took, in seconds; from logarithmic classes, so they are exact to about a fifth."""

    count: int = _COUNT
    p50: float | None = Field(description=f"The median; {_RATE}")
    p90: float | None = Field(description=_RATE)
    p99: float | None = Field(description=_RATE)


class ErrorCount(BaseModel):
    """How many sends had an error code."""

    code: int | None = Field(description="Twilio's error code; null: it gave none.")
    count: int = _COUNT


class TwilioFigures(BaseModel):
    """What Twilio's report of OTP conversion calls its figures."""

    attempted: int = Field(description="Messages that Twilio accepted, on channels with feedback.")
    status_ok: int = Field(description="Of these: delivered, sent, or of unknown delivery.")
    errors: int = Field(description="Of these: undelivered or failed.")
    conversions: int = Field(description="Of these: confirmed, late ones too.")
    conversion_rate: float | None = Field(description=f"conversions / attempted; {_RATE}")
    countries: int = _COUNT


class Cost(BaseModel):
    """What the accepted messages cost by your prices, in decimal numbers."""

    currency: str
    total: str
    per_status_ok: str | None = Field(description=_RATE)
    per_confirmed: str | None = Field(description=_RATE)
    per_approval: str | None = Field(description=_RATE)


class FiguresResponse(BaseModel):
    """The figures of all sends of a report, or of one group."""

    verifications: VerificationCounts
    sends: SendCounts
    delivery: DeliveryCounts
    unconverted: UnconvertedCounts
    blocked: BlockedCounts
    success_rate: float | None = Field(description=f"approved / verifications; {_RATE}")
    conversion_rate: float | None = Field(description=f"confirmed / sends; {_RATE}")
    delivery_rate: float | None = Field(description=f"delivered / sends; {_RATE}")
    sends_per_approval: float | None = Field(description=_RATE)
    seconds_to_deliver: Quantiles
    seconds_to_convert: Quantiles
    errors: list[ErrorCount] = Field(description="The most frequent first.")
    twilio: TwilioFigures
    cost: Cost | None = Field(description="null without prices (`OTP_PRICES`).")


class GroupResponse(FiguresResponse):
    """The figures of one group."""

    key: dict[str, str] = Field(description="What the sends of the group share, by the names in `group_by`.")


class ReportResponse(BaseModel):
    """What became of every send and every verification of a span of time."""

    model_config = ConfigDict(populate_by_name=True)
    since: Instant = Field(alias="from", description="The beginning, as widened to a whole hour.")
    to: Instant = Field(description="The end, as widened to a whole hour.")
    tz: str = Field(description="The time zone of hours and days.")
    group_by: list[str] = Field(description=f"Some of {', '.join(Grouping)}.")
    filters: dict[str, list[str]] = Field(description="Which sends were asked for.")
    generated_at: Instant
    currency: str | None = Field(description="The currency of the prices; null without prices.")
    total: FiguresResponse
    groups: list[GroupResponse] = Field(
        description="By time, or the most sends first. By `hour` or `day` alone, those without sends are listed, too."
    )


class UnconvertedSendResponse(BaseModel):
    """One send that did not convert."""

    at: Instant = Field(description="When it was sent.")
    verification_id: str
    send_number: int = _COUNT
    country: str
    channel: str
    purpose: str
    action: str
    reason: str = Field(description="As in `unconverted` of the report.")
    error_code: int | None = Field(description="Twilio's error code, if it gave one.")


class UnconvertedResponse(BaseModel):
    """The newest sends that did not convert, without numbers."""

    sends: list[UnconvertedSendResponse]

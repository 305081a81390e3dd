"""Traffic: how many requests, how they went, how long they took, over time."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from starlette.responses import JSONResponse

from parsers.traffic import MINUTE, Minute, total
from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, reached
from service.api.guard import guarded_router
from service.errors import Refused
from service.store import apps, traffic
from service.wire.traffic import EPOCH, TrafficListJson, bucket_begin, bucket_begins, traffic_json

router = guarded_router("traffic", Scope.READ, of_apps=True)

SINCE = timedelta(hours=6)
# A chart has no more points; a week in buckets of five minutes has 2,016.
MOST_BUCKETS = 5000


class TrafficQuery(parameters.Query):
    """Whose traffic, and in which buckets."""

    app: parameters.App = None
    environment: parameters.Environment = None
    bucket: parameters.Bucket = timedelta(minutes=5)
    since: parameters.Since = None
    until: parameters.Until = None


@router.get("/traffic", response_model=TrafficListJson, summary="Traffic over time")
async def list_traffic(request: Request, query: Annotated[TrafficQuery, FromQuery()]) -> JSONResponse:
    """Requests, errors and service times in buckets at whole multiples of their width (UTC), oldest first, empty ones too; the
    minute that is not over yet as far as it has come. The last six hours, unless `since` and `until` say otherwise; a bucket
    that begins before `since` or ends after `until` is counted whole."""
    now = datetime.now(UTC)
    until = max(min(query.until or now, now + MINUTE), EPOCH)  # no request counts later than now
    since = max(query.since or until - SINCE, EPOCH)
    if (until - since) / query.bucket > MOST_BUCKETS:
        expected = f"a bucket so wide that there are at most {MOST_BUCKETS} between since and until"
        raise Refused(400, f"bucket is too narrow; expected {expected}", parameter="bucket", expected=expected)
    shares: dict[datetime, list[Minute]] = {at: [] for at in bucket_begins(since, until, query.bucket)}
    async with api_of(request).db.read() as conn:
        known = reached(request, await apps.known(conn, name=query.app, environment=query.environment))
        begin, end = min(shares, default=EPOCH), max(shares, default=EPOCH) + query.bucket
        found = await traffic.between(conn, list(known), since=begin, until=end) if shares else []
    for at, minute in found:
        shares[bucket_begin(at, query.bucket)].append(minute)
    return answer({"items": [traffic_json(at, total(minutes)) for at, minutes in shares.items()]})

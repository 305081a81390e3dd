"""Counts of errors over time, for charts."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query as FromQuery
from fastapi import Request
from pydantic import Field
from starlette.responses import JSONResponse

from service.access import Scope
from service.api import parameters
from service.api.context import answer, api_of, within_reach
from service.api.guard import guarded_router
from service.errors import Refused
from service.store import stats
from service.store.events import Wanted
from service.store.stats import By
from service.wire.stats import ErrorCountsJson, error_counts_json
from service.wire.traffic import EPOCH, bucket_begin, bucket_begins

router = guarded_router("stats", Scope.READ, of_apps=True)

SINCE = timedelta(hours=1)
# A chart has no more points: a week in buckets of five minutes is 2,016, a day of minutes 1,440.
MOST_BUCKETS = 5000
MOST_ITEMS = 100_000


class ErrorStatsQuery(parameters.Query):
    """Which errors, counted by what."""

    by: Annotated[By, Field(description="Counted by this; ids in paths are folded: `/orders/:id`.")] = "code"
    bucket: parameters.Bucket = timedelta(minutes=1)
    app: parameters.App = None
    environment: parameters.Environment = None
    code: parameters.Code = None
    kind: parameters.Kind = None
    dyno: parameters.Dyno = None
    since: parameters.Since = None
    until: parameters.Until = None
    q: parameters.Filter = None
    limit: parameters.Limit = 20


@router.get("/stats/errors", response_model=ErrorCountsJson, summary="Errors over time")
async def count_errors(request: Request, query: Annotated[ErrorStatsQuery, FromQuery()]) -> JSONResponse:
    """Events of severity error and above, counted in buckets at whole multiples of their width (UTC), of the `limit` most
    frequent keys. The last hour, unless `since` and `until` say otherwise; a bucket that begins before `since` or ends after
    `until` is counted whole."""
    now = datetime.now(UTC)
    # A dyno's clock may be ahead, but not by days.
    until = max(min(query.until or now, now + timedelta(days=1)), EPOCH)
    since = max(query.since or until - SINCE, EPOCH)
    buckets = _buckets(since, until, query)
    begin = bucket_begin(since, query.bucket)
    wanted = Wanted(
        app=query.app,
        environment=query.environment,
        code=query.code,
        kind=query.kind,
        dyno=query.dyno,
        since=begin,
        until=buckets[-1] + query.bucket if buckets else begin,
        errors_only=True,
        q=within_reach(request, query.q),
    )
    async with api_of(request).db.read() as conn:
        found, left_out = await stats.errors(conn, wanted, by=query.by, bucket=query.bucket, most_keys=query.limit)
    return answer(error_counts_json(found, buckets, left_out=left_out))


def _buckets(since: datetime, until: datetime, query: ErrorStatsQuery) -> list[datetime]:
    number = (until - since) / query.bucket
    if number > MOST_BUCKETS or number * query.limit > MOST_ITEMS:
        most = min(MOST_BUCKETS, MOST_ITEMS // query.limit)
        expected = f"a bucket so wide that there are at most {most} between since and until"
        raise Refused(400, f"bucket is too narrow; expected {expected}", parameter="bucket", expected=expected)
    return list(bucket_begins(since, until, query.bucket))

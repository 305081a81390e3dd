"""An example of each shape that the API answers with, for its description; a test holds them to the shapes."""

from typing import Any

_ID = "0196bf00-7c1e-7000-8000-00000000000a"
_AT = "2026-05-11T12:00:00.123456Z"

EVENT: dict[str, Any] = {
    "id": _ID,
    "ts": _AT,
    "received_at": "2026-05-11T12:00:00.401000Z",
    "app": "raxx-api-prod",
    "environment": "production",
    "source": "heroku",
    "process": "router",
    "dyno": "web.1",
    "kind": "router_error",
    "code": "H12",
    "severity": "error",
    "message": 'at=error code=H12 desc="Request timeout" method=GET path="/api/x" dyno=web.1 service=30001ms status=503',
    "fields": {"desc": "Request timeout", "method": "GET", "path": "/api/x", "service_ms": 30001, "status": 503},
    "flags": [],
}
LINE: dict[str, Any] = {
    "id": "0196bf00-7c1e-7000-8000-00000000000d-17",
    "ts": _AT,
    "received_at": "2026-05-11T12:00:00.401000Z",
    "app": "raxx-api-prod",
    "environment": "production",
    "source": "app",
    "process": "web.1",
    "dyno": "web.1",
    "message": "payment declined order_id=4711 amount=12.50",
}
RELEASE: dict[str, Any] = {
    "app": "raxx-api-prod",
    "environment": "production",
    "version": "v42",
    "action": "deploy",
    "description": "Deploy 193d1419",
    "commit": "193d1419",
    "config_keys": [],
    "actor": "user@example.com",
    "released_at": "2026-05-11T11:48:00.000000Z",
}
TOKEN: dict[str, Any] = {
    "id": 2,
    "name": "grafana",
    "scope": "read",
    "created_at": "2026-05-11T09:00:00.000000Z",
    "used_at": _AT,
    "apps": ["raxx-*"],
}
TRAFFIC: dict[str, Any] = {
    "at": "2026-05-11T12:00:00.000000Z",
    "requests": 1204,
    "errors": 3,
    "bytes": 981_233,
    "by_status": {"2xx": 1180, "4xx": 21, "5xx": 3},
    "by_code": {"H12": 3},
    "p50_ms": 41.0,
    "p95_ms": 310.0,
    "p99_ms": 1204.0,
    "connect_p95_ms": 2.0,
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "EventJson": EVENT,
    "EventWithContextJson": {**EVENT, "context": [{**LINE, "own": False}]},
    "LineJson": LINE,
    "ContextLineJson": {**LINE, "own": True},
    "ErrorCountJson": {"at": "2026-05-11T12:00:00.000000Z", "key": "H12", "count": 3},
    "ErrorCountsJson": {"items": [{"at": "2026-05-11T12:00:00.000000Z", "key": "H12", "count": 3}], "left_out": 0},
    "TrafficJson": TRAFFIC,
    "TrafficListJson": {"items": [TRAFFIC]},
    "service__api__releases__ReleaseJson": RELEASE,
    "PromotionJson": {
        "app": "raxx-console-prod",
        "environment": "production",
        "promotion_id": "42",
        "flag_key": "new_checkout",
        "target_app": "raxx-api-prod",
        "state": "deployed",
        "new_value": 1,
        "reason": None,
        "started_at": "2026-05-11T11:40:00.000000Z",
        "updated_at": "2026-05-11T11:41:07.000000Z",
        "ended_at": "2026-05-11T11:41:07.000000Z",
    },
    "AppJson": {
        "app": "raxx-api-prod",
        "environment": "production",
        "heard_at": _AT,
        "release": RELEASE,
        "formation": "web=2:standard-1x",
        "maintenance": False,
        "dynos": {"up": 2},
        "incidents": {"count": 1, "severity": "critical"},
    },
    "DynoJson": {
        "app": "raxx-api-prod",
        "environment": "production",
        "dyno": "web.1",
        "process_type": "web",
        "state": "up",
        "since": "2026-05-11T11:49:12.000000Z",
        "exit_status": None,
        "crashes": 0,
    },
    "CodeJson": {
        "code": "H12",
        "name": "Request timeout",
        "severity": "error",
        "meaning": "The dyno took longer than 30 seconds to answer.",
        "remedy": "Find the slow endpoint.",
    },
    "TokenJson": TOKEN,
    "NewTokenJson": {**TOKEN, "used_at": None, "token": "dw_4Q1x…"},
    "QuarantinedJson": {
        "id": _ID,
        "received_at": _AT,
        "app": "raxx-api-prod",
        "reason": "octet count 99999 runs past the body's 812 bytes",
        "text": "99999 <45>1 2026-05-11T12:00:00+00:00 host heroku web.1 - State changed",
        "bytes": "OTk5OTkgPDQ1PjE=",
    },
}

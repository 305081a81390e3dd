import json
from datetime import UTC, datetime

from service.notify.formats.standard import render
from service.notify.notification import Notification

INCIDENT = {"id": "0190", "title": 'quote " and ✓', "evidence": [{"message": "a\nb"}]}


def notification(test: bool = False) -> Notification:
    at = datetime(2026, 5, 11, 12, 0, 0, 123456, UTC)
    return Notification("incident.opened", at, INCIDENT, "https://drainwatch.example.com/v1/incidents/0190", test=test)


def test_the_standard_body_is_compact_json_with_type_timestamp_and_data_in_this_order() -> None:
    assert render(notification()) == (
        '{"type":"incident.opened","timestamp":"2026-05-11T12:00:00.123456Z","data":{"incident":'
        '{"id":"0190","title":"quote \\" and ✓","evidence":[{"message":"a\\nb"}]},'
        '"url":"https://drainwatch.example.com/v1/incidents/0190"}}'
    )


def test_a_test_is_marked_as_one() -> None:
    assert json.loads(render(notification(test=True)))["data"]["test"] is True

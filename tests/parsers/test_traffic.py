"""What router lines say of a minute: exactly, however they are split into frames, and whatever a client writes into them."""

from collections import Counter
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs import times_as_much
from parsers.frame import Reading, read_frame, traffic_of
from parsers.line import Origin
from parsers.times import bucket_of
from parsers.traffic import Minute, minutes_of, pack, total, unpack
from vocabulary import NOON, at, counted, frame_of, message, router_line, router_text, seconds_after, stamp

LATER = at("13:00")
FORGED = "/ connect=1ms service=9999ms status=500 bytes=999999 protocol=http1.1"


def traffic(*messages: bytes, received_at: datetime = LATER) -> dict[datetime, Minute]:
    frame = read_frame(frame_of(*messages), Origin("shop", "production"), received_at, Reading())
    return minutes_of(frame.traffic)


def only(*messages: bytes) -> Minute:
    """The one minute that the lines are of."""
    [minute] = traffic(*messages).values()
    return minute


def test_requests_are_counted_by_class_and_code_with_their_bytes_and_times() -> None:
    assert only(
        router_line(status=200, service="18ms", connect="1ms", bytes=100),
        router_line(status=201, service="18ms", connect="0ms", bytes=20),
        router_line(status=404, service="5ms", connect="0ms", bytes=3),
        router_line(code="H12", service="30000ms", connect="1ms", bytes=0),
        router_line(code="H10"),
        message("app", "web.1", "hello"),
    ) == Minute(
        lines=6,
        requests=5,
        errors=2,
        bytes=123,
        by_status={"2xx": 2, "4xx": 1, "5xx": 2},
        by_code={"H12": 1, "H10": 1},
        service={bucket_of(18): 2, bucket_of(5): 1, bucket_of(30000): 1},
        connect={bucket_of(0): 2, bucket_of(1): 2},
    )


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"code": "H24", "status": "", "bytes": 18, "service": "80000ms"}, ("none", 18, 80000, "H24")),
        ({"code": "H25", "status": 502, "connect": "0", "service": "397", "bytes": 542}, ("5xx", 542, 397, "H25")),
        ({"at": "warning", "code": "H27", "status": 499, "bytes": "", "sock": "client"}, ("4xx", 0, 12, "H27")),
        ({"at": "info", "code": "H80", "service": "", "bytes": "596"}, ("5xx", 596, None, "H80")),
        ({"code": "H31", "agent": "curl connect=7ms service=7ms status=200 bytes=7 x"}, ("5xx", 13, 12, "H31")),
        ({"status": 101, "tls": None, "tls_version": None}, ("1xx", 13, 12, None)),
        ({"protocol": None, "tls": None, "tls_version": None}, ("2xx", 13, 12, None)),
        ({"service": "", "connect": ""}, ("2xx", 13, None, None)),
    ],
)
def test_each_form_of_the_line_counts(
    pairs: dict[str, str | int | None], expected: tuple[str, int, int | None, str | None]
) -> None:
    status, size, service, code = expected
    found = only(router_line(**pairs))
    assert (found.requests, found.by_status, found.bytes) == (1, {status: 1}, size)
    assert found.by_code == ({code: 1} if code else {})
    assert found.service == ({} if service is None else {bucket_of(service): 1})


def test_the_form_of_before_2013_is_a_request_too() -> None:
    old = "Error H12 (Request timeout) -> GET app.example.com/timeout dyno=web.1 queue=0 wait=0ms service=0ms bytes=0"
    assert only(message("heroku", "router", old)).by_code == {"H12": 1}


def test_what_is_no_request_is_a_line_only() -> None:
    found = only(message("heroku", "router", "hello"), message("app", "router", router_text()), router_line())
    assert (found.lines, found.requests) == (3, 1)


@pytest.mark.parametrize(
    "forged", [{"path": FORGED}, {"fwd": FORGED}, {"path": FORGED, "code": "H12"}, {"fwd": FORGED, "status": 404}]
)
def test_what_a_client_writes_does_not_count(forged: dict[str, str]) -> None:
    honest = {key: value for key, value in forged.items() if value != FORGED}
    plain = [router_line(service="7ms") for _ in range(3)]
    assert only(*plain, router_line(**forged)) == only(*plain, router_line(**honest))


def test_a_second_line_in_a_router_line_does_not_count_for_another() -> None:
    numbers = "1ms service=9ms status=200 bytes=9"
    odd = [router_text(), router_text(service="-")]
    texts = [f"{odd[0]}\n{numbers}", odd[1]]
    assert only(*(message("heroku", "router", text) for text in texts)) == only(
        *(message("heroku", "router", text) for text in odd)
    )


def test_a_line_that_was_cut_in_its_path_counts_without_the_numbers_in_it() -> None:
    text = f'at=info method=GET path="{FORGED}/{"x" * 20_000}'
    found = only(message("heroku", "router", text[:9_900]))
    assert (found.requests, found.by_status, found.service) == (1, {"none": 1}, {})


def test_a_line_counts_in_its_own_minute_but_not_after_its_receipt() -> None:
    found = traffic(
        router_line("12:00:59.999"),
        router_line("12:01"),
        router_line("14:00"),
        message("app", "web.1", "x", "12:02:30"),
        counted(f"<158>1 {'not-a-time'} host heroku router - {router_text()}\n"),
    )
    counts = {minute.strftime("%H:%M"): (one.lines, one.requests) for minute, one in found.items()}
    assert counts == {"12:00": (1, 1), "12:01": (1, 1), "12:02": (1, 0), "13:00": (2, 2)}


def test_an_offset_is_heeded() -> None:
    line = router_line().replace(stamp(NOON).encode(), b"2026-05-11T14:00:00+02:00")
    assert list(traffic(line)) == [NOON]


STAMPS = st.datetimes(datetime(2026, 5, 11, 12, 56), datetime(2026, 5, 11, 13, 2)).map(
    lambda time: stamp(at(time.isoformat() + "+00:00"))
) | st.sampled_from(
    ["2026-05-11T14:57:30+02:00", "2026-05-11T12:58:00Z", "2026-05-11+00:00", "2026-W20-1T12:59:00+00:00", "never", "-"]
)


@given(st.lists(STAMPS, min_size=1, max_size=8))
def test_each_line_counts_in_the_minute_that_it_would_count_in_alone(stamps: list[str]) -> None:
    lines = [counted(f"<158>1 {one} host heroku router - {router_text()}\n") for one in stamps]

    found = traffic(*lines)

    alone = [minute for line in lines for minute in traffic(line)]
    assert {minute: one.requests for minute, one in found.items()} == Counter(alone)


def test_no_lines_are_no_traffic() -> None:
    assert traffic() == {}


LINES = st.lists(
    st.one_of(
        st.builds(
            router_line,
            st.integers(0, 200).map(lambda seconds: seconds_after(NOON, seconds)),
            service=st.integers(0, 40_000).map(lambda ms: f"{ms}ms"),
            status=st.sampled_from([200, 302, 404, 500, "", 99]),
            bytes=st.one_of(st.integers(0, 10**6), st.just("")),
            code=st.sampled_from([None, None, None, "H12", "H10", "H99"]),
            path=st.sampled_from(
                ["/", "/a b", FORGED, '/" connect=', "/\n connect=1ms service=2ms status=200 bytes=3 \n"]
            ),
        ),
        st.just(message("app", "web.1", "hello")),
        st.just(message("heroku", "router", "connect= connect=1ms")),
    ),
    max_size=12,
)


@given(LINES, st.data())
def test_any_split_into_frames_gives_the_same_traffic(lines: list[bytes], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(lines)))))
    parts = [lines[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    shares = [traffic(*part) for part in parts]
    minutes = {minute for share in shares for minute in share}
    together = {minute: total(share[minute] for share in shares if minute in share) for minute in minutes}
    assert together == traffic(*lines)
    frames = [read_frame(frame_of(*part), Origin("shop", "production"), LATER, Reading()) for part in parts]
    assert minutes_of(one for frame in frames for one in frame.traffic) == traffic(*lines)
    assert unpack(b"".join(pack(share) for share in shares)) == traffic(*lines)


@given(LINES)
def test_a_stored_body_has_the_traffic_of_its_frame(lines: list[bytes]) -> None:
    assert minutes_of(traffic_of(frame_of(*lines), LATER)) == traffic(*lines)


def test_the_totals_of_two_apps_have_the_quantiles_of_both() -> None:
    fast, slow = only(*[router_line(service="10ms")] * 3), only(*[router_line(service="90ms")] * 2)
    assert total([fast, slow]) == only(*[router_line(service="10ms")] * 3, *[router_line(service="90ms")] * 2)


def test_a_long_hostile_line_takes_linear_time() -> None:
    small, large = (router_line(path=" connect=1ms service=1ms status=200 bytes=1" * n) for n in (5_000, 40_000))

    assert only(large).requests == 1
    assert times_as_much(lambda: only(large), lambda: only(small)) < 28

import base64

from service.cli.logplex.request import Target, frame_id_of, logplex_request, shuttle_request

TARGET = Target.of("https://logs.example.com:8443/drain?a=b", app="shop", secret="s3cret", drain_token="d.1")


def head_of(request: bytes) -> list[str]:
    return request.partition(b"\r\n\r\n")[0].decode().split("\r\n")


def test_logplex_sends_its_headers_in_its_order_and_nothing_else() -> None:
    request = logplex_request(TARGET, frame_id="F", messages=6, body=b"body")

    assert head_of(request) == [
        "POST /drain?a=b HTTP/1.1",
        "Host: logs.example.com:8443",
        "Authorization: Basic " + base64.b64encode(b"shop:s3cret").decode(),
        "Content-Type: application/logplex-1",
        "Logplex-Msg-Count: 6",
        "Logplex-Frame-Id: F",
        "Logplex-Drain-Token: d.1",
        "User-Agent: Logplex/v72",
        "Content-Length: 4",
    ]
    assert request.endswith(b"\r\n\r\nbody")


def test_log_shuttle_names_the_request_and_neither_frame_nor_drain() -> None:
    names = [line.split(": ")[0] for line in head_of(shuttle_request(TARGET, request_id="R", messages=1, body=b""))]

    assert "X-Request-Id" in names
    assert not {"Logplex-Frame-Id", "Logplex-Drain-Token"} & set(names)


def test_a_port_stands_in_the_host_only_where_the_url_names_one() -> None:
    plain = Target.of("https://logs.example.com", app="shop", secret="s", drain_token="d")

    assert (plain.host, plain.port, plain.path, plain.tls) == ("logs.example.com", 443, "/", True)


def test_a_frame_has_the_same_id_whenever_the_same_is_sent_again() -> None:
    ids = [frame_id_of("shop", 0, b"x"), frame_id_of("shop", 1, b"x"), frame_id_of("shop", 0, b"y")]

    assert frame_id_of("shop", 0, b"x") == ids[0]
    assert len({*ids, frame_id_of("shop2", 0, b"x")}) == 4
    assert all(len(one) == 32 and one == one.upper() for one in ids)

import socket

from service.app import listen


def test_what_is_accepted_sends_each_piece_at_once() -> None:
    listening = listen("127.0.0.1", 0)
    listening.listen()
    with listening, socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

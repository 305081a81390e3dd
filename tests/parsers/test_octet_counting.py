"""Octet counting: good messages survive whatever stands around them, and each byte is in one message or one damage."""

import pytest

from parsers.octet_counting import Damage, Message, octet_counted, split_messages, whole_messages
from tests.vocabulary import counted, dropped, message

A = message("app", "web.1", "first")
B = message("heroku", "web.1", "State changed from starting to up")
C = message("app", "worker.1", "third, with 93 <45>1 in it")
NO_NEWLINE = counted("<134>1 2026-05-11T12:00:00+00:00 host app heroku-redis - sample#active-connections=8")
L10 = dropped(3, "11:59")


def text_of(message: bytes) -> bytes:
    """The message without its octet count."""
    return message.split(b" ", 1)[1]


def miscounted(message: bytes, by: int) -> bytes:
    """The message behind a count that is so much too large."""
    text = text_of(message)
    return b"%d %s" % (len(text) + by, text)


def messages_of(body: bytes) -> list[bytes]:
    """What was kept, octet-counted."""
    return [piece.counted for piece in split_messages(body) if isinstance(piece, Message)]


def damage_of(body: bytes) -> list[Damage]:
    return [piece for piece in split_messages(body) if isinstance(piece, Damage)]


def raw_of(piece: Message | Damage, body: bytes) -> bytes:
    return piece.body if isinstance(piece, Damage) else body[piece.at : piece.end]


def test_messages_touch_and_need_no_newline() -> None:
    body = L10 + A + NO_NEWLINE + B
    assert messages_of(body) == [L10, A, NO_NEWLINE, B]
    assert damage_of(body) == []
    messages, ends = whole_messages(body) or ([], [])
    assert messages == [text_of(one) for one in (L10, A, NO_NEWLINE, B)]
    assert ends == [len(L10), len(L10 + A), len(L10 + A + NO_NEWLINE), len(body)]


def test_an_empty_body_has_no_messages() -> None:
    assert split_messages(b"") == []
    assert whole_messages(b"") == ([], [])


def test_a_count_is_of_bytes_not_characters() -> None:
    body = message("app", "web.1", "café – ready") + B
    assert whole_messages(body) is not None
    assert messages_of(body)[1] == B


def test_a_message_may_hold_newlines_and_other_messages_and_any_byte() -> None:
    inner = counted(b"<190>1 - host app web.1 - \x00\xff\n" + A + b"\n" + B)
    assert messages_of(inner + C) == [inner, C]


@pytest.mark.parametrize(
    "garbage", [b"garbage", b"garbage\n", b"\n", b"<45>1 no count\n", b"12 ", b"99999999999 <", b"\x00" * 9]
)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_garbage_between_messages_costs_none_of_them(garbage: bytes, place: int) -> None:
    good = [A, B, C]
    body = b"".join([*good[:place], garbage, *good[place:]])
    assert messages_of(body) == good
    assert b"".join(one.body for one in damage_of(body)) == garbage


def test_garbage_after_a_message_without_a_newline_is_not_taken_into_it() -> None:
    assert messages_of(L10 + b"garbage" + A) == [L10, A]
    assert messages_of(NO_NEWLINE + b"garbage\n" + NO_NEWLINE) == [NO_NEWLINE, NO_NEWLINE]


def test_a_line_of_logplex_or_an_add_on_needs_no_newline_to_be_believed() -> None:
    assert messages_of(L10 + b"garbage\n" + A) == [L10, A]
    assert messages_of(NO_NEWLINE + b"garbage\n" + A) == [NO_NEWLINE, A]


def test_a_message_whose_count_was_lost_is_not_taken_into_the_one_before() -> None:
    cut = counted(text_of(A).removesuffix(b"\n"))
    assert messages_of(cut + b"x" + text_of(B) + C) == [cut, C]


@pytest.mark.parametrize("by", [1, 2, 3, 4, 5, 20, len(B), len(B) + 10, len(B + C), 99_999])
def test_a_count_that_is_too_large_is_mended_at_the_next_message(by: int) -> None:
    body = miscounted(A, by) + B + C
    if by in (len(B), len(B + C)):
        body = miscounted(A, by + 2) + B + C  # else the count would lead to a message or the end, and hold
    assert messages_of(body) == [A, B, C]


@pytest.mark.parametrize("by", range(1, 13))
def test_a_count_that_is_too_large_by_some_digits_of_the_next_is_mended(by: int) -> None:
    for following in (B, message("app", "web.1", "x" * 400), message("app", "web.1", "x" * 4000), NO_NEWLINE):
        body = miscounted(A, by) + following + C
        assert messages_of(body) == [A, following, C]


@pytest.mark.parametrize("by", range(1, 60))
def test_a_count_that_is_too_small_is_mended_at_the_next_message(by: int) -> None:
    assert messages_of(miscounted(A, -by) + B + C) == [A, B, C]


def test_the_wrong_count_is_the_damage_and_says_what_it_led_to() -> None:
    body = miscounted(A, -7) + B
    (damage,) = damage_of(body)
    wrong = len(text_of(A)) - 7
    assert damage.body == b"%d " % wrong
    assert damage.reason == (
        f"octet count {wrong} leads to byte {wrong + 3}, where no message begins; the next begins at byte {len(A)}"
    )


def test_two_wrong_counts_in_a_row_are_both_mended() -> None:
    body = miscounted(A, 500) + miscounted(B, -9) + C
    assert messages_of(body) == [A, B, C]


def test_a_sender_that_counts_wrongly_throughout_loses_no_line() -> None:
    body = miscounted(A, -1) + miscounted(B, -1) + miscounted(C, -1)
    assert [text_of(one) + b"\n" for one in messages_of(body)] == [text_of(one) for one in (A, B, C)]


def test_a_count_that_runs_past_the_body_is_damage_and_says_so() -> None:
    body = B + b"99999 " + text_of(A)
    assert messages_of(body) == [B]
    (damage,) = damage_of(body)
    assert damage == Damage(len(B), b"99999 " + text_of(A), f"octet count 99999 runs past the body's {len(body)} bytes")


def test_a_body_that_was_cut_keeps_its_whole_messages() -> None:
    body = A + B + C
    for size in range(len(A) + 1, len(body)):
        whole = [A, B] if size >= len(A + B) else [A]
        assert messages_of(body[:size]) == whole


def test_a_message_whose_count_was_lost_is_damage_alone() -> None:
    body = A + text_of(B) + C
    assert messages_of(body) == [A, C]
    assert damage_of(body)[0].body == text_of(B)


def test_digits_of_a_text_before_a_count_are_left_to_the_text() -> None:
    ends_in_digits = counted(text_of(NO_NEWLINE)[:-1] + b"59")
    body = miscounted(A, 30) + ends_in_digits + C
    assert messages_of(body) == [A, ends_in_digits, C]


@pytest.mark.parametrize("count", [b"0", b"+93", b"9_3", b"-1", b"9" * 5000, b"\xd9\xa3", b" 93", b"93\t"])
def test_a_count_that_is_no_number_harms_nobody(count: bytes) -> None:
    body = A + count + b" " + text_of(B) + C
    assert messages_of(body)[0] == A
    assert messages_of(body)[-1] == C
    assert b"".join(raw_of(piece, body) for piece in split_messages(body)) == body


def test_leading_zeros_of_a_count_are_borne() -> None:
    padded = b"000" + A
    assert messages_of(padded + B) == [padded, B]


def test_octet_counted_counts_bytes() -> None:
    assert octet_counted("é".encode()) == b"2 \xc3\xa9"


@pytest.mark.parametrize("body", [b"123", b"5 <1>1 12", b"5 <1>1\n1200", b"00", b"1"])
def test_digits_without_a_space_behind_them_are_no_count(body: bytes) -> None:
    assert whole_messages(body) is None

"""One file of the spool: what is read of it, whatever has happened to it."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.ingest.segment import Record, Segment, Skipped, pack
from spooled import record

ALL = 1 << 30


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    return Segment.create(tmp_path)


def left_by(segment: Segment, data: bytes) -> Segment:
    """The file with other content, as another process finds it."""
    segment.close()
    segment.path.write_bytes(data)
    found = Segment.adopt(segment.path)
    assert found is not None
    return found


def test_what_is_written_is_read_again_to_the_letter_and_in_order(segment: Segment) -> None:
    written = [record(number) for number in range(10)]
    segment.append([pack(one) for one in written[:4]])
    segment.append([pack(one) for one in written[4:]])
    stretch = segment.read(most=ALL)
    assert list(stretch.records) == written
    assert (list(stretch.skipped), stretch.end) == ([], segment.size)
    assert segment.count() == 10


def test_it_is_read_piece_by_piece(segment: Segment) -> None:
    written = [record(number) for number in range(10)]
    segment.append([pack(one) for one in written])
    found: list[Record] = []
    while segment.read_to < segment.size:
        stretch = segment.read(most=100)
        assert 0 < len(stretch.records) < 4
        found += stretch.records
        segment.read_to = stretch.end
    assert found == written


def test_wherever_the_file_is_cut_short_all_whole_records_are_kept_and_the_cut_one_is_torn(segment: Segment) -> None:
    written = [record(number) for number in range(3)]
    ends = []
    for one in written:
        segment.append([pack(one)])
        ends.append(segment.size)
    data = segment.path.read_bytes()
    for cut in range(len(data)):
        segment = left_by(segment, data[:cut])
        stretch = segment.read(most=ALL)
        whole = sum(end <= cut for end in ends)
        assert list(stretch.records) == written[:whole]
        begin = ends[whole - 1] if whole else 0
        assert list(stretch.skipped) == ([Skipped(begin, cut - begin, torn=True)] if cut > begin else [])


def test_whichever_byte_is_wrong_it_costs_its_own_record_alone(segment: Segment) -> None:
    written = [record(number) for number in range(3)]
    ends = [0]
    for one in written:
        segment.append([pack(one)])
        ends.append(segment.size)
    data = segment.path.read_bytes()
    for at in range(0, len(data), 3):
        segment = left_by(segment, data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :])
        stretch = segment.read(most=ALL)
        hit = sum(end <= at for end in ends) - 1
        assert list(stretch.records) == written[:hit] + written[hit + 1 :]
        [skipped] = stretch.skipped
        assert (skipped.at, skipped.size) == (ends[hit], ends[hit + 1] - ends[hit])
        assert not skipped.torn or hit == 2


def test_zeros_at_the_end_are_torn_and_rubbish_is_not(segment: Segment) -> None:
    segment.append([pack(record(1))])
    data, size = segment.path.read_bytes(), segment.size
    segment = left_by(segment, data + bytes(5000))
    assert list(segment.read(most=ALL).skipped) == [Skipped(size, 5000, torn=True)]
    segment = left_by(segment, data + b"rubbish" * 100)
    assert list(segment.read(most=ALL).skipped) == [Skipped(size, 700, torn=False)]


def test_a_record_inside_what_an_app_has_logged_is_none(tmp_path: Path, segment: Segment) -> None:
    other = Segment.create(tmp_path)
    other.append([pack(record(5))])
    segment.append([pack(record(1, body=other.path.read_bytes() * 3)), pack(record(2))])
    data = segment.path.read_bytes()
    segment = left_by(segment, data[:20] + bytes([data[20] ^ 1]) + data[21:])
    assert [one.key.digest for one in segment.read(most=ALL).records] == [(2).to_bytes(16)]


def test_even_the_files_own_mark_inside_a_damaged_record_hides_nothing_behind_it(segment: Segment) -> None:
    mark = bytes.fromhex(segment.path.stem.rpartition("-")[2])
    segment.append([pack(record(1, body=os.urandom(500) + mark + os.urandom(500))), pack(record(2))])
    data = segment.path.read_bytes()
    assert data.count(mark) == 3
    segment = left_by(segment, data[:20] + bytes([data[20] ^ 1]) + data[21:])
    assert [one.key.digest for one in segment.read(most=ALL).records] == [(2).to_bytes(16)]


def test_a_file_is_another_processs_only_once_its_own_has_let_go_of_it(segment: Segment) -> None:
    assert Segment.adopt(segment.path) is None
    segment.close()
    adopted = Segment.adopt(segment.path)
    assert adopted is not None
    assert Segment.adopt(segment.path) is None
    adopted.remove()
    assert Segment.adopt(segment.path) is None


def test_a_damaged_file_is_left_to_people_under_another_name(segment: Segment) -> None:
    segment.damaged = True
    segment.remove()
    assert not segment.path.exists()
    assert segment.path.with_suffix(".damaged").exists()


def test_files_sort_by_the_time_they_were_made(tmp_path: Path) -> None:
    made = [Segment.create(tmp_path) for _ in range(5)]
    assert [one.path.name[:13] for one in made] == sorted(one.path.name[:13] for one in made)
    assert abs(int(made[0].path.name[:13]) / 1000 - datetime.now(UTC).timestamp()) < 60

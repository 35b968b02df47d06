"""Which bytes are SQL text, and what is hashed of them."""

from __future__ import annotations

import hashlib
import sys
import tracemalloc

import pytest

from sqlmigrations.text import Fault, TextRefused, checksum, decode, take


def refusal(data: bytes) -> Fault:
    with pytest.raises(TextRefused) as caught:
        decode(data)
    return caught.value.fault


def test_utf8_comes_back_as_it_is() -> None:
    assert decode("SELECT 'Grüße', '😀';\n".encode()) == "SELECT 'Grüße', '😀';\n"


def test_one_byte_order_mark_is_stripped_and_a_second_is_text() -> None:
    assert decode(b"\xef\xbb\xbfSELECT 1;") == "SELECT 1;"
    assert decode(b"\xef\xbb\xbf\xef\xbb\xbfSELECT 1;") == "\ufeffSELECT 1;"


def test_crlf_becomes_lf() -> None:
    assert decode(b"SELECT\r\n1;\r\n") == "SELECT\n1;\n"


def test_the_checksum_is_what_sha256sum_says_of_the_lf_file() -> None:
    assert checksum(decode("SELECT 'ü';\r\n".encode())) == hashlib.sha256("SELECT 'ü';\n".encode()).hexdigest()


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_named(codec: str) -> None:
    mark = b"" if codec == "utf-16" else "\ufeff".encode(codec)

    fault = refusal(mark + "SELECT 1;".encode(codec))

    assert fault == Fault("encoding", "The file is UTF-16 (byte offset 0).", "Save the file as UTF-8.", 1, 1)


def test_latin1_is_refused_with_offset_line_and_column() -> None:
    fault = refusal(b"SELECT 1;\nSELECT 'gr\xfc\xdfe';\n")

    message = "Not UTF-8: byte 0xfc at offset 20."
    assert fault == Fault("encoding", message, "Save the file as UTF-8.", 2, 11)


def test_the_offset_counts_the_byte_order_mark_and_the_column_does_not_count_bytes() -> None:
    fault = refusal(b"\xef\xbb\xbf" + "ü".encode() + b"\xff")

    assert (fault.message, fault.line) == ("Not UTF-8: byte 0xff at offset 5.", 1)


def test_a_nul_byte_is_refused() -> None:
    fault = refusal(b"SELECT 1;\nDROP\x00 TABLE t;")

    assert fault == Fault("nul", "A NUL byte, which ends the SQL for the driver.", "Remove it.", 2, 5)


def test_a_lone_carriage_return_is_refused() -> None:
    fault = refusal(b"-- note\rDROP TABLE t;\r\n")

    assert (fault.rule, fault.line, fault.column) == ("lone-cr", 1, 8)


@pytest.mark.parametrize("code", [0x061C, 0x200E, 0x200F, 0x202A, 0x202E, 0x2066, 0x2069])
def test_a_bidi_control_character_is_refused(code: int) -> None:
    fault = refusal(f"SELECT 1;\n  -- {chr(code)} x".encode())

    assert fault == Fault(
        "hidden-text",
        f"Bidi control character U+{code:04X}: a reviewer sees another text than the one that runs.",
        f"Remove it, or write it as U&'\\{code:04X}' in a literal.",
        2,
        6,
    )


SENT = ["", "SELECT 1;\n", "\ufeffSELECT 1;\n", "SELECT 'ü—😀';\r\n", "SELECT 'ü—😀';\n", "\ufeff\ufeff\n", "ü" * 9]


@pytest.mark.parametrize("written", SENT)
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_file_read_in_pieces_has_the_text_and_the_sums_of_the_whole(written: str, size: int) -> None:
    data = written.encode()
    text = decode(data)

    taken = take([data[at : at + size] for at in range(0, len(data), size)])

    assert taken == (text, checksum(text), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    "data", [b"a\nb\xff\n", "aü\nüü".encode() + b"\xc3", b"a\xc3(", b"\xef\xbb\xbf\n\xff", b"a\x00", b"a\r"]
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_wrong_with_a_file_read_in_pieces_is_told_with_its_place(data: bytes, size: int) -> None:
    with pytest.raises(TextRefused) as whole:
        decode(data)

    with pytest.raises(TextRefused) as met:
        take([data[at : at + size] for at in range(0, len(data), size)])

    assert met.value.fault == whole.value.fault


def test_the_bytes_of_a_large_file_are_not_kept_beside_its_text() -> None:
    pieces = [b"INSERT INTO t VALUES (1, 'a row like many others');\n" * 400 for _ in range(100)]
    size = sum(map(len, pieces))
    tracemalloc.start()
    try:
        text, *_ = take(pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (len(text), pieces) == (size, [])
    # What looks at every line that is run keeps Python from its short cuts.
    assert peak < (2.5 if sys.gettrace() else 1.5) * size

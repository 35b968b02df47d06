"""Where one token ends and the next begins, token by token."""

from __future__ import annotations

import pytest

from sqlmigrations.sql.scanner import TokenKind, position, tokens


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("größe$1", TokenKind.WORD),
        ("select\u00a0a", TokenKind.WORD),
        ('"a""b;"', TokenKind.IDENTIFIER),
        ('u&"a;"', TokenKind.IDENTIFIER),
        ("'a;'", TokenKind.STRING),
        ("e'\\';'", TokenKind.STRING),
        ("E'a\\\n'", TokenKind.STRING),
        ("N'a;'", TokenKind.STRING),
        ("b'0'", TokenKind.STRING),
        ("X'F'", TokenKind.STRING),
        ("U&'a'", TokenKind.STRING),
        ("'a' -- b\n\t'c'", TokenKind.STRING),
        ("$x$ $y$ ; $x$", TokenKind.DOLLAR),
        ("1_000.5e-3", TokenKind.NUMBER),
        ("0x_1F", TokenKind.NUMBER),
        (".5", TokenKind.NUMBER),
        ("$12", TokenKind.PARAMETER),
        ("<->", TokenKind.OPERATOR),
        ("@-", TokenKind.OPERATOR),
        ("::", TokenKind.PUNCTUATION),
        (":=", TokenKind.PUNCTUATION),
        ("..", TokenKind.PUNCTUATION),
        ("[", TokenKind.PUNCTUATION),
        ("--a;", TokenKind.COMMENT),
        ("/*/**/;*/", TokenKind.COMMENT),
        (" \t\n\r\f\v", TokenKind.SPACE),
        ("\\i a;b", TokenKind.META),
        ("{", TokenKind.OPERATOR),
        ("$", TokenKind.OPERATOR),
    ],
)
def test_a_text_that_is_one_token(text: str, kind: TokenKind) -> None:
    assert list(tokens(text)) == [(kind, text, 0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=-1", ["a", "=", "-", "1"]),
        ("a@-1", ["a", "@-", "1"]),
        ("a%-1", ["a", "%-", "1"]),
        ("a*-+b", ["a", "*", "-", "+", "b"]),
        ("-+", ["-", "+"]),
        ("a<=b", ["a", "<=", "b"]),
        ("a+--b", ["a", "+", "--b"]),
        ("a+/*b*/", ["a", "+", "/*b*/"]),
        ("1..10", ["1", "..", "10"]),
        ("1.5.x", ["1.5", ".", "x"]),
        ("x::int", ["x", "::", "int"]),
        ("x'F''a;'", ["x'F'", "'a;'"]),
        ("'a' 'b'", ["'a'", " ", "'b'"]),
        ("--a\rb", ["--a", "\r", "b"]),
        ("$a b$1", ["$", "a", " ", "b$1"]),
        ("1$$a$$", ["1", "$$a$$"]),
    ],
)
def test_a_text_is_cut_into_tokens_as_the_server_does(text: str, expected: list[str]) -> None:
    assert [token.text for token in tokens(text)] == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT", "select"),
        ("GRÖSSE", "grÖsse"),
        ('"Say ""Hi"""', 'Say "Hi"'),
        ('U&"d\\0061t\\+000061\\\\"', "data\\"),
        ('U&"\\+10FFFF"', "\U0010ffff"),
        ('U&"\\+FFFFFF"', "\\+FFFFFF"),
        ('"d\\0061"', "d\\0061"),
        ("'It''s'", "'It''s'"),
    ],
)
def test_the_value_of_a_token_is_what_the_server_compares(text: str, value: str) -> None:
    (token,) = tokens(text)

    assert token.value == value


def test_columns_count_characters_not_bytes() -> None:
    assert position("é\nüü;x", 5) == (2, 4)

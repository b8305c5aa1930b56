"""Files with one token a line."""

import gzip

import pytest

from skdeep.datasets import read_conll

TOKENS = [["Ada", "sleeps"], ["Oslo"]]
TAGS = [["B-person", "O"], ["B-city"]]


@pytest.fixture
def read(tmp_path):
    """Write text, or bytes, and read it back."""

    def write_and_read(content, **params):
        path = tmp_path / "file.conll"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_conll(path, **params)

    return write_and_read


@pytest.mark.parametrize(
    "text",
    [
        "Ada\tB-person\nsleeps\tO\n\nOslo\tB-city\n",
        "Ada B-person\nsleeps O\n\nOslo B-city",
        "\n\nAda  B-person \r\nsleeps O\r\n\r\n \t\r\nOslo B-city\r\n\r\n\r\n",
        "-DOCSTART- -X- -X- O\n\nAda NN NP B-person\nsleeps VB VP O\n\nOslo NN NP B-city\n",
        "# intent=walk\nAda\tB-person\nsleeps\tO\n\n# text = Oslo\nOslo\tB-city\n",
        "\ufeffAda\tB-person\nsleeps\tO\n\nOslo\tB-city\n",
    ],
)
def test_the_usual_forms_give_the_same_sentences(read, text):
    assert read(text) == (TOKENS, TAGS)
    assert read(gzip.compress(text.encode())) == (TOKENS, TAGS)


def test_a_hash_is_a_token_where_it_has_a_tag(read):
    assert read("# O\nwin B-who\n# x y\n") == ([["#", "win"]], [["O", "B-who"]])
    assert read("#\tNN\n# x\nwin\tVB\n") == ([["#", "win"]], [["NN", "VB"]])
    assert read("#win O\n") == ([["#win"]], [["O"]])


def test_line_breaks_and_blanks_of_unicode_belong_to_tokens(read):
    for odd in ("a\u2028b", "a\x85b", "a\xa0b", "\x0b", "a\x1cb"):
        assert read(f"{odd}\tO\nc\tO\n") == ([[odd, "c"]], [["O", "O"]])
        assert read(f"{odd} O\nc O\n") == ([[odd, "c"]], [["O", "O"]])
    assert read("new york\tB-city\n") == ([["new york"]], [["B-city"]])


def test_columns_and_encoding_can_be_named(read):
    text = "1\tÅse\tB-person\tx\n2\tsover\tO\tx\n"
    expected = ([["Åse", "sover"]], [["B-person", "O"]])
    assert read(text, token_column=1, tag_column=2) == expected
    latin = text.encode("latin-1")
    columns = {"token_column": 1, "tag_column": -2}
    assert read(latin, encoding="latin-1", **columns) == expected
    with pytest.raises(ValueError, match="conll is not utf-8 at byte 2; name its"):
        read(latin)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ada\tB-person\nsleeps\n", "line 2, has 1 columns where line 1 has 2"),
        ("\nAda O\n\nOslo x O\n", "line 4, has 3 columns where line 2 has 2"),
        ("Ada\n", "line 1, is 'Ada': a token without a tag"),
        ("Ada\tO\nOslo\t\n", "line 2, is 'Oslo ': a token without a tag"),
        ("Ada\tO\n\tO\n", "line 2, is ' O': a token without a tag, or a tag without"),
        ("\n\n# no\n-DOCSTART- O\n", "has no line with a token"),
        ("", "has no line with a token"),
    ],
)
def test_a_line_that_is_not_as_expected_is_named(read, text, message):
    with pytest.raises(ValueError, match=rf"file\.conll,? {message}"):
        read(text)


def test_a_column_that_is_not_there_is_refused(read):
    with pytest.raises(ValueError, match="no column 2 for the tag; .*`tag_column`"):
        read("Ada O\n", tag_column=2)
    with pytest.raises(ValueError, match="no column -3 for the token"):
        read("Ada O\n", token_column=-3)


def test_a_torn_archive_is_refused_and_a_missing_file_is_missing(read, tmp_path):
    with pytest.raises(ValueError, match="is a damaged gzip file"):
        read(gzip.compress(b"Ada\tO\n" * 99)[:-9])
    with pytest.raises(FileNotFoundError):
        read_conll(tmp_path / "nothing")

"""The reader of ARFF files, on files small enough to read by eye."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.io.arff import loadarff
from scipy.sparse import csr_array

from skdeep.datasets._arff import parse_arff

HEADER = """\
% a comment
@relation animals

@attribute legs numeric
@attribute 'has wings' {0,1}
@attribute size REAL
"""
DENSE = HEADER + "@data\n4,0,1.5\n% another\n\n2,1,-2e-3\n"
SPARSE = HEADER + "@data\n{0 4,2 1.5}\n{ }\n{2 -2e-3, 0 2,1 1}\n"


def parse(text):
    return parse_arff(text.encode())


def test_a_dense_file_by_hand():
    names, rows = parse(DENSE)
    assert names == ["legs", "has wings", "size"]
    assert isinstance(rows, np.ndarray)
    assert_array_equal(rows, [[4, 0, 1.5], [2, 1, -0.002]])


def test_a_sparse_file_by_hand():
    names, rows = parse(SPARSE)
    assert names == ["legs", "has wings", "size"]
    assert isinstance(rows, csr_array)
    assert rows.has_canonical_format
    assert_array_equal(rows.indptr, [0, 2, 2, 5])
    assert_array_equal(rows.indices, [0, 2, 0, 1, 2])
    assert_array_equal(rows.data, [4, 1.5, 2, 1, -0.002])


def test_scipy_reads_the_same_values():
    (data, _), (_, rows) = loadarff(io.StringIO(DENSE)), parse(DENSE)
    assert_array_equal(rows, [[float(value) for value in row] for row in data.tolist()])


def test_zeros_that_are_written_out_are_not_stored():
    assert parse(HEADER + "@data\n{0 0,2 1}\n")[1].nnz == 1


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("plain", "plain"),
        ("kidney;", "kidney;"),
        ("c#", "c#"),
        ("50%", "50%"),
        (r"m\'usica", r"m\'usica"),  # outside quotes a backslash is a character
        ("'two words'", "two words"),
        ('"two words"', "two words"),
        (r"'Stellar\'s Jay'", "Stellar's Jay"),
        (r"'back\\slash'", r"back\slash"),
        ('"it\'s"', "it's"),
        ("'{0,1}'", "{0,1}"),
    ],
)
def test_names_with_and_without_quotes(written, name):
    names, _ = parse(f"@attribute {written} {{0,1}}\n@data\n1\n")
    assert names == [name]


def test_keywords_line_ends_and_blanks_may_vary():
    text = (
        "@RELATION x\r\n@Attribute\ta\tINTEGER\r\n@ATTRIBUTE b { 0, '1' }\r\n@DATA\r\n"
    )
    names, rows = parse(text + " 1 , 0 \r\n")
    assert names == ["a", "b"]
    assert_array_equal(rows, [[1, 0]])


def test_named_values_are_the_numbers_that_they_name():
    _, rows = parse("@attribute place {2,10,1}\n@data\n10\n1\n")
    assert_array_equal(rows, [[10], [1]])


def test_a_file_without_rows_has_columns():
    names, rows = parse(HEADER + "@data\n")
    assert rows.shape == (0, len(names))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "ends before its line @data"),
        ("", "ends before its line @data"),
        ("4,0,1.5\n", "Line 1 is no line of an ARFF header: '4,0,1.5'"),
        ("@attribute legs\n@data\n", "Line 1 is no line"),
        ("@attribute 'legs numeric\n@data\n", "Line 1 is no line"),
        ("@attribute a real\n@attribute 'a' real\n", "Line 2 .* second attribute 'a'"),
        ("@attribute a string\n@data\n", "'a' is of the kind string"),
        ("@attribute a date yyyy\n@data\n", "'a' is of the kind date"),
        ("@attribute a {no,yes}\n@data\n", "'a' is of the kind {no,yes}"),
        ("@attribute a {}\n@data\n", "'a' is of the kind {}"),
        ("@attribute a {0,1\n@data\n", "'a' is of the kind {0,1"),
        (HEADER + "@data\n4,0,1.5\n4,0\n", "Line 9 has 2 values for 3 attributes"),
        (HEADER + "@data\n4,0,?\n", "Line 8 has a value that is no number"),
        (HEADER + "@data\n4,0,__import__('os')\n", "Line 8 has a value that is no"),
        (HEADER + "@data\n4,7,1\n", "hold 7 where only 0, 1 are allowed"),
        (HEADER + "@data\n{1 7}\n", "hold 7 where only 0, 1 are allowed"),
        (HEADER + "@data\n{0 4}\n4,0,1.5\n", "Line 9 is no sparse row"),
        (HEADER + "@data\n4,0,1\n{0 4,1 1,2 3}\n", "Line 9 has a value that is no"),
        (HEADER + "@data\n{0 4\n", "Line 8 is no sparse row"),
        (HEADER + "@data\n{0 4}, {5}\n", "Line 8 has an entry that is no pair"),
        (HEADER + "@data\n{0 4,2}\n", "Line 8 has an entry that is no pair"),
        (HEADER + "@data\n{0 4,,1 1}\n", "Line 8 has an entry that is no pair"),
        (HEADER + "@data\n{0 ?}\n", "Line 8 has an entry that is no pair"),
        (HEADER + "@data\n{0 4,0 4}\n", "Line 8 names a column twice"),
        (HEADER + "@data\n{3 1}\n", "Line 8 .* outside 0 to 2"),
        (HEADER + "@data\n{-1 1}\n", "Line 8 .* outside 0 to 2"),
        (
            "@attribute a {1,0}\n@data\n{0 0}\n",
            "'a' has 1 as its first value, which sparse rows leave out",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)

"""Archives and images, as they should be and as an attacker would make them."""

import io
import re
import struct
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdeep.datasets._archive import read_members
from skdeep.datasets._png import read_black_white_png

TEXT = re.compile(r"folder/(?P<stem>\w+)\.txt")


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def checkers():
    return (np.indices((3, 10)).sum(axis=0) % 2).astype(np.uint8)


def test_only_members_that_match_are_read():
    archive = zipped({"folder/a.txt": b"1", "folder/a.exe": b"2", "x/a.txt": b"3"})
    members = read_members(archive, TEXT, max_bytes=10)
    assert [(match["stem"], content) for match, content in members] == [("a", b"1")]


@pytest.mark.parametrize(
    "name", ["../a.txt", "folder/../../a.txt", "/etc/a.txt", "..\\a.txt", "C:/a.txt"]
)
def test_an_archive_that_points_out_of_itself_is_refused(name):
    archive = zipped({"folder/a.txt": b"1", name: b"2"})
    with pytest.raises(ValueError, match="points out of the archive"):
        read_members(archive, TEXT, max_bytes=10)


def test_a_member_above_the_size_limit_is_refused():
    archive = zipped({"folder/a.txt": b"0" * 11})
    with pytest.raises(ValueError, match="has 11 bytes, more than the allowed 10"):
        read_members(archive, TEXT, max_bytes=10)


def test_a_member_at_the_size_limit_is_read():
    archive = zipped({"folder/a.txt": b"0" * 10})
    assert len(read_members(archive, TEXT, max_bytes=10)) == 1


def test_a_member_that_lies_about_its_size_is_refused():
    # the directory at the end of the archive names 5 bytes where 5000 are packed
    archive = bytearray(zipped({"folder/a.txt": b"0" * 5000}))
    position = archive.index(b"PK\x01\x02") + 24
    archive[position : position + 4] = struct.pack("<I", 5)
    with pytest.raises(zipfile.BadZipFile):
        read_members(bytes(archive), TEXT, max_bytes=10)


def test_an_image_is_read_pixel_by_pixel(make_png, checkers):
    assert_array_equal(read_black_white_png(make_png(checkers), (3, 10)), checkers)


@pytest.mark.slow
def test_matplotlib_reads_the_same_image(make_png, checkers):
    pytest.importorskip("matplotlib", reason="a second reader to compare with")
    from matplotlib.image import imread

    assert_array_equal(imread(io.BytesIO(make_png(checkers)), format="png"), checkers)


def test_an_image_of_another_size_is_refused(make_png, checkers):
    with pytest.raises(ValueError, match="only 4 x 3 pixels"):
        read_black_white_png(make_png(checkers), (3, 4))


@pytest.mark.parametrize("header", [(8, 0, 0, 0, 0), (1, 3, 0, 0, 0), (1, 0, 0, 0, 1)])
def test_an_image_of_another_kind_is_refused(make_png, checkers, header):
    with pytest.raises(ValueError, match="PNG header"):
        read_black_white_png(make_png(checkers, header), (3, 10))


def test_filtered_rows_are_refused(make_png, checkers):
    with pytest.raises(ValueError, match="filtered rows"):
        read_black_white_png(make_png(checkers, filter_type=2), (3, 10))


def test_an_image_with_too_few_rows_is_refused(make_png, checkers):
    with pytest.raises(ValueError, match="data end after 6 bytes"):
        read_black_white_png(make_png(checkers[:2], shape=(3, 10)), (3, 10))


def test_what_lies_beyond_the_last_row_is_not_unpacked(make_png, checkers):
    bomb = np.vstack([checkers, np.zeros((100_000, 10), dtype=np.uint8)])
    image = read_black_white_png(make_png(bomb, shape=(3, 10)), (3, 10))
    assert_array_equal(image, checkers)


def test_other_files_and_torn_files_are_refused(make_png, checkers):
    with pytest.raises(ValueError, match="not a PNG"):
        read_black_white_png(b"GIF89a", (3, 10))
    whole = make_png(checkers)
    with pytest.raises(ValueError, match="cut off"):
        read_black_white_png(whole[:-9], (3, 10))

"""Read chosen members of a zip archive without unpacking it."""

import io
import zipfile
from pathlib import PurePosixPath


def read_members(content, pattern, max_bytes):
    """Return the members of a zip archive whose names match.

    Nothing is written to disk. An archive with a member that points out of it, or with
    a chosen member above the size limit, is refused as a whole.

    Parameters
    ----------
    content : bytes
        The archive.

    pattern : re.Pattern
        Has to match the whole name of a member for it to be read.

    max_bytes : int
        Largest allowed size of a member.

    Returns
    -------
    members : list of (re.Match, bytes)
        Match and content of each member, in the order of the archive.
    """
    members = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            _check_name(entry.filename)
            match = pattern.fullmatch(entry.filename)
            if match is None:
                continue
            if entry.file_size > max_bytes:
                raise ValueError(
                    f"Member {entry.filename!r} of the archive has {entry.file_size} "
                    f"bytes, more than the allowed {max_bytes}; the archive is not the "
                    "expected one."
                )
            members.append((match, archive.read(entry)))
    return members


def _check_name(name):
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or ":" in name:
        raise ValueError(
            f"Member {name!r} points out of the archive; the archive is not to be "
            "trusted."
        )

"""A file's bytes, unpacked as they are read: .gz, .zst and .zip by their first bytes, whatever the name says."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from stock_pipeline.errors import InputFileError

BROKEN = (EOFError, OSError, zlib.error, zipfile.BadZipFile, pa.ArrowException)
"""What a damaged or cut-off file raises."""


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes] | Any]:
    """Yield the file's bytes as a stream; raises `InputFileError` if it can't be read to its end."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            if head[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
            elif head == b"\x28\xb5\x2f\xfd":
                with pa.CompressedInputStream(file, "zstd") as stream:
                    yield stream
            elif head == b"PK\x03\x04":
                with zipfile.ZipFile(file) as archive, archive.open(_only_member(path, archive)) as stream:
                    yield stream
            else:
                yield file
    except FileNotFoundError:
        raise InputFileError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise InputFileError(f"{path} is a folder: name the files in it") from None
    except BROKEN as error:
        raise InputFileError(f"{path} can't be read to its end: {str(error).partition(chr(10))[0]}") from None


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:5])
        raise InputFileError(f"{path} has {len(members)} files in it ({names}): unpack it, and import each")
    return members[0]

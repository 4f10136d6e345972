"""Databento's binary files (DBN) as the CSV text that Databento makes of them, by its own library."""

import io
from typing import IO, Any

MAGIC = b"DBN"
_CHUNK_BYTES = 1024 * 1024


def dbn_text(stream: IO[bytes]) -> io.BufferedReader:
    """Return the file as CSV, symbols in it by its own mappings, prices with a point, times in nanoseconds.

    Reading raises `EOFError` if the file ends within a record. Raises `ModuleNotFoundError` without the extra `files`.
    """
    return io.BufferedReader(_Text(stream), _CHUNK_BYTES)


class _Text(io.RawIOBase):
    def __init__(self, stream: IO[bytes]) -> None:
        from databento_dbn import Compression, Encoding, Transcoder

        self._stream, self._text, self._ended = stream, io.BytesIO(), False
        self._transcoder: Any = Transcoder(
            self._text, Encoding.from_str("csv"), Compression.from_str("none"), pretty_px=True, pretty_ts=False
        )

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not (content := self._text.read(len(target))) and not self._ended:
            self._text.seek(0)
            self._text.truncate()
            self._more()
            self._text.seek(0)
        target[: len(content)] = content
        return len(content)

    def _more(self) -> None:
        from databento_dbn import DBNError

        chunk = self._stream.read(_CHUNK_BYTES)
        try:
            if chunk:
                self._transcoder.write(chunk)
            elif self._transcoder.buffer():
                raise EOFError("it ends within a record")
            else:
                self._transcoder.finish()
                self._ended = True
        except DBNError as error:
            raise EOFError(str(error)) from None

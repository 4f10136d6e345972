"""Answers built once for each change: bytes, gzipped bytes, and their entity tag."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

SMALLEST_GZIPPED = 1_000


@dataclass(frozen=True)
class Body:
    content: bytes
    media_type: str = "application/json"

    @cached_property
    def etag(self) -> str:
        # weak, because the gzipped bytes have it too
        return f'W/"{hashlib.blake2b(self.content, digest_size=12).hexdigest()}"'

    @cached_property
    def gzipped(self) -> bytes | None:
        """The content, compressed fast; None if it is too small to gain."""
        return gzip.compress(self.content, 1, mtime=0) if len(self.content) >= SMALLEST_GZIPPED else None

    def answer(self, request: Request, cache: str = "no-cache") -> Response:
        """Return the body, or 304 if the client has it."""
        headers = {"ETag": self.etag, "Cache-Control": cache, "Vary": "Accept-Encoding"}
        known = request.headers.get("if-none-match", "")
        if self.etag in known or known == "*":
            return Response(status_code=304, headers=headers)
        content = self.content
        if self.gzipped is not None and takes_gzip(request.headers.get("accept-encoding", "")):
            content = self.gzipped
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers=headers, media_type=self.media_type)


def takes_gzip(accepted: str) -> bool:
    """Tell if a client that accepts these encodings takes gzip: a weight of 0 refuses, and `*` is what is not named.

    https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3
    """
    takes = {}
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        takes[coding.strip()] = not weight or bool(weight.replace(" ", "").removeprefix("q=").strip("0."))
    return takes.get("gzip", takes.get("*", False))

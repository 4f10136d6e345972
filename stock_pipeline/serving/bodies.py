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
        return f'"{hashlib.blake2b(self.content, digest_size=12).hexdigest()}"'

    @cached_property
    def gzipped(self) -> bytes | None:
        """The content, compressed fast; None if it is too small to gain."""
        return gzip.compress(self.content, 1, mtime=0) if len(self.content) >= SMALLEST_GZIPPED else None

    def answer(self, request: Request, cache: str = "no-cache") -> Response:
        """Return the body, or 304 if the client has it."""
        headers = {"ETag": self.etag, "Cache-Control": cache, "Vary": "Accept-Encoding"}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = self.content
        if self.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content = self.gzipped
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers=headers, media_type=self.media_type)

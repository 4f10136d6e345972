"""Raw files of one session that the bucket's lifecycle deletes, because they have a tag.

A listing shows no tags. So a list beside the head remembers the files, and none is tagged every night.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.domain.lake_layout import expiring_key
from stock_pipeline.lake.lake_access import Lake

TAG, VALUE = "compacted", "true"
"""What the lifecycle rule of infra/main.tf looks for."""


@dataclass(frozen=True)
class ExpiringFiles:
    lake: Lake
    session_date: date

    def without_tag(self, files: Collection[InputFile]) -> tuple[InputFile, ...]:
        """Return those of the files that are not known to be tagged."""
        if not files:
            return ()
        known = self._known()
        return tuple(file for file in files if _name(file) not in known)

    def tag(self, files: Collection[InputFile], listed: Iterable[InputFile]) -> None:
        """Tag the files, and then remember them. A crash in between tags them again.

        listed: every raw file that is there now; the others are forgotten.
        """
        if not files:
            return
        self.lake.tag((file.key for file in files), TAG, VALUE)
        there = {_name(file) for file in listed}
        names = sorted((self._known() & there) | {_name(file) for file in files})
        self.lake.put(expiring_key(self.session_date), json.dumps(names).encode())

    def forget(self) -> None:
        """Delete the list, once no raw file is there."""
        self.lake.delete([expiring_key(self.session_date)])

    def _known(self) -> set[str]:
        found = self.lake.read(expiring_key(self.session_date))
        try:
            return {str(name) for name in json.loads(found[0])} if found else set()
        except (ValueError, TypeError):
            return set()  # torn: tagging again harms nobody


def _name(file: InputFile) -> str:
    return f"{file.key.rpartition('/')[2]} {file.etag}"

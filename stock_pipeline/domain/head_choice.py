"""Chooses the version to go on from when a partition's head is lost, or its published version is damaged."""

from collections.abc import Collection, Iterable

from stock_pipeline.domain.compaction_plan import InputFile, Manifest


def best_version(
    whole: Iterable[Manifest], named: Collection[InputFile], raw: Collection[InputFile]
) -> tuple[Manifest | None, frozenset[InputFile]]:
    """Return the whole version that loses fewest raw files, of those the one with most inputs, and what is lost.

    A named raw file is lost if it is neither in the version nor among the raw files still there. None, if no version
    loses fewer than the raw files alone.

    named: the raw files of every manifest.
    """
    candidates = [(manifest, frozenset(named) - {*manifest.inputs, *raw}) for manifest in whole]
    nothing: tuple[Manifest | None, frozenset[InputFile]] = (None, frozenset(named) - {*raw})
    return min([*candidates, nothing], key=lambda each: (len(each[1]), *_by_inputs(each[0])))


def _by_inputs(manifest: Manifest | None) -> tuple[int, str]:
    return (-len(manifest.inputs), manifest.version) if manifest else (0, "")

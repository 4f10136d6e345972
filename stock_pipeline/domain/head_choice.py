"""Chooses the version to go on from when a partition's head is lost, or its published version is damaged."""

from collections.abc import Collection, Iterable

from stock_pipeline.domain.compaction_plan import InputFile, Manifest


def best_version(
    whole: Iterable[Manifest],
    every: Collection[Manifest],
    raw: Collection[InputFile],
    damaged: Manifest | None = None,
) -> tuple[Manifest | None, frozenset[InputFile]]:
    """Return the whole version that loses fewest raw files, of those the one with most inputs, and what is lost.

    A named raw file is lost if it is neither in the version nor among the raw files still there. None, if no version
    loses fewer than the raw files alone. What an operator gave up is not lost again.

    every: all manifests, which name the raw files.
    damaged: the published version's.
    """
    named = _named_by(every) - _given_up(damaged, every) - {*raw}
    candidates: list[tuple[Manifest | None, frozenset[InputFile]]] = [
        (manifest, named - _given_up(manifest, every) - {*manifest.inputs}) for manifest in whole
    ]
    return min([*candidates, (None, named)], key=lambda each: (len(each[1]), *_by_inputs(each[0])))


def _named_by(manifests: Iterable[Manifest]) -> frozenset[InputFile]:
    return frozenset(file for manifest in manifests for file in manifest.inputs)


def _given_up(manifest: Manifest | None, every: Collection[Manifest]) -> frozenset[InputFile]:
    """Return what was lost before this version, unless a version that it did not replace has it: it came back."""
    if manifest is None:
        return frozenset()
    by_name = {each.version: each for each in every}
    replaced = [manifest.version]
    while (name := by_name[replaced[-1]].replaces if replaced[-1] in by_name else None) and name not in replaced:
        replaced.append(name)
    return frozenset(manifest.lost) - _named_by(each for each in every if each.version not in replaced)


def _by_inputs(manifest: Manifest | None) -> tuple[int, str]:
    return (-len(manifest.inputs), manifest.version) if manifest else (0, "")

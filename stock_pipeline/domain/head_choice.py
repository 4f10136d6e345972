"""Chooses the version to publish when only a partition's manifests are left."""

from collections.abc import Collection, Sequence

from stock_pipeline.domain.compaction_plan import InputFile, Manifest


def version_to_publish(manifests: Sequence[Manifest], raw: Collection[InputFile]) -> Manifest | None:
    """Return the version with the most inputs that loses no trade, or None.

    Every raw file that any manifest names must be in it, or among the raw files still there.
    """
    every = {file for manifest in manifests for file in manifest.inputs}
    whole = [manifest for manifest in manifests if every <= {*manifest.inputs, *raw}]
    return max(whole, key=lambda manifest: (len(manifest.inputs), manifest.version), default=None)

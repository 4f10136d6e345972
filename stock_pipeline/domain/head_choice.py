"""Which version of a partition to publish when only its manifests are left."""

from collections.abc import Collection, Sequence

from stock_pipeline.domain.compaction_plan import InputFile, Manifest


def version_to_publish(manifests: Sequence[Manifest], raw: Collection[InputFile]) -> Manifest | None:
    """The version with the most inputs, among those that lack no trade which is nowhere else: every raw file that any
    manifest names is in the version, or still there to be compacted. None if there is no such version.
    """
    every = {file for manifest in manifests for file in manifest.inputs}
    whole = [manifest for manifest in manifests if every <= {*manifest.inputs, *raw}]
    return max(whole, key=lambda manifest: (len(manifest.inputs), manifest.version), default=None)

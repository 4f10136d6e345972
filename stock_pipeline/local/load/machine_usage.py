"""Memory and CPU time of this process and its children, as the system counts them."""

import resource
import sys


def machine_usage() -> dict[str, float]:
    """Return peak memory and CPU time, here and of the children that ended. Their peak is the largest one's."""
    here, started = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "peak_mb": round(_megabytes(here.ru_maxrss), 1),
        "services_peak_mb": round(_megabytes(started.ru_maxrss), 1),
        "cpu_seconds": round(here.ru_utime + here.ru_stime, 1),
        "services_cpu_seconds": round(started.ru_utime + started.ru_stime, 1),
    }


def _megabytes(ru_maxrss: int) -> float:
    # bytes on macOS, kilobytes elsewhere
    return ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

"""The one error that users of the package meet."""

from __future__ import annotations


class DenoisingError(ValueError):
    """Something the user asked for cannot be done; says why and what to do.

    Never a ``RuntimeError``: napari's generator workers swallow that class, so that a panel would
    wait forever for a job that has already died.

    Parameters
    ----------
    cause : str
        What is wrong, in one sentence that names the values.
    remedy : str
        What the user can do about it, in one sentence.

    Attributes
    ----------
    cause, remedy : str
        The two sentences; ``str(error)`` is both.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause} {remedy}")
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[DenoisingError], tuple[str, str]]:
        """Pickle by both sentences, so that the error survives a process pool or a dask worker."""
        return type(self), (self.cause, self.remedy)

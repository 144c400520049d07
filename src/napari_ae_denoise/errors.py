"""The one error that users of the package meet."""

from __future__ import annotations

import unicodedata

NO_MEMORY = "Memory ran out. Choose smaller tiles or a smaller image, or close other programs."
_LONGEST = 2000  # characters of a sentence


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
        cause, remedy = _shown(cause), _shown(remedy)
        super().__init__(f"{cause} {remedy}")
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[DenoisingError], tuple[str, str]]:
        """Pickle by both sentences, so that the error survives a process pool or a dask worker."""
        return type(self), (self.cause, self.remedy)


def problem_of(error: Exception) -> str:
    """Return what is said where something could not be worked on: cause and remedy."""
    if isinstance(error, BrokenPipeError):  # whoever reads our output has enough
        raise error
    if isinstance(error, DenoisingError):
        return str(error)
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if not isinstance(error, OSError):
        return unforeseen(error)
    what = f"{error.strerror or error}".rstrip(".")
    return f"{what}. Check that the file can be read and that its result has room."


def unforeseen(error: Exception) -> str:
    """Return what is said of a fault of ours."""
    return f"{type(error).__name__}: {error}. This should not happen: please report it."


def about_torch(error: BaseException) -> str:
    """Return what is said where PyTorch is missing or cannot be loaded; empty for other errors."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "torch":
        return (
            f"PyTorch is not installed, or not for this Python ({error}). Install it into this "
            'environment: "pip install torch", or see pytorch.org for the kind with CUDA.'
        )
    if isinstance(error, OSError | ImportError) and "torch" in _modules(error):
        return (
            f"PyTorch could not be loaded ({error}). Install it anew, and on Windows the newest "
            "Visual C++ Redistributable, too."
        )
    return ""


def _modules(error: BaseException) -> set[str]:
    """Return the modules that an error came through."""
    found, step = set(), error.__traceback__
    while step is not None:
        found.add(str(step.tb_frame.f_globals.get("__name__")))
        step = step.tb_next
    return found


def plain_text(text: str) -> str:
    """Return a text without characters that would command a terminal or cannot be written."""
    replaced = "\N{REPLACEMENT CHARACTER}"
    strange = {c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cs")}
    return text.translate({ord(c): replaced for c in strange}) if strange else text


def _shown(sentence: str) -> str:
    """Return a sentence that can be shown anywhere: names from files may be long, or no names."""
    if len(sentence) > _LONGEST:
        half = _LONGEST // 2 - 1
        sentence = f"{sentence[:half]} … {sentence[-half:]}"
    return plain_text(sentence)

"""What the commands share: messages in one line, progress bars, Ctrl-C, names of output files."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from napari_ae_denoise._cli.naming import is_pattern, named_by
from napari_ae_denoise.done_record import FILE_NAME
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import format_of, same_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PROGRAM = "napari-ae-denoise"
INTERRUPTED = 130  # the exit code of a program that Ctrl-C has ended
# What a fault of ours raises; the parser's own exceptions are none of them.
_FAULTS = (OSError, RuntimeError, ImportError, ValueError, TypeError, LookupError, AttributeError)
_NO_MEMORY = "Memory ran out. Choose smaller tiles or a smaller image, or close other programs."
_SLOW = 10.0  # seconds between lines of progress where no one watches


def say(message: str) -> None:
    """Print one line on stderr, where it disturbs no result."""
    typer.echo(f"{PROGRAM}: {' '.join(message.split())}", err=True)


class Commands(TyperGroup):
    """The commands; what goes wrong in one ends as a line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with warnings_as_lines():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort):  # they are RuntimeErrors, and no faults
            raise
        except DenoisingError as error:
            say(str(error))
        except MemoryError:
            say(_NO_MEMORY)
        except KeyboardInterrupt:
            say("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # whoever reads our output has enough
            raise
        except _FAULTS as error:
            say(f"{type(error).__name__}: {error}. This should not happen: please report it.")
        raise typer.Exit(1)


class ManyPaths(TyperCommand):
    """A command whose options take several paths: ``--clean a.tif b.tif`` as the shell gives it."""

    options_of_many = ("--clean", "--noisy", "--noisy-again")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further path."""
        spread: list[str] = []
        option = ""
        for place, word in enumerate(args):
            if word in self.options_of_many:
                option = word
                if place + 1 == len(args) or args[place + 1].startswith("-"):
                    spread.append(word)  # nothing follows: the parser says so
            elif word.startswith("-"):
                option = ""
                spread.append(word)
            else:
                spread += [option, word] if option else [word]
        return super().parse_args(ctx, spread)


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show the warnings meant for users as lines on stderr, each of them, and no others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="napari_ae_denoise")
        warnings.showwarning = lambda message, *_args, **_more: say(f"note: {message}")
        yield


_quiet: list[bool] = []


def be_quiet() -> None:
    """Show no bars from now on: this process is one of several."""
    _quiet.append(True)


def bar(total: float, unit: str, name: str = "", **more: Any) -> Any:
    """Return a progress bar on stderr with the time left."""
    from tqdm import tqdm

    more |= {"disable": True} if _quiet else {}
    often = 0.1 if sys.stderr.isatty() else _SLOW
    return tqdm(
        total=total, unit=unit, desc=name or None, file=sys.stderr, mininterval=often, **more
    )


@contextlib.contextmanager
def dask_bar(name: str) -> Iterator[None]:
    """Show how far dask is with whatever is computed inside."""
    from dask.callbacks import Callback

    shown: list[Any] = []

    def begin(_graph: object, state: Any) -> None:
        shown.append(bar(sum(len(state[k]) for k in ("ready", "waiting", "running")), "task", name))

    def advance(*_task: object) -> None:
        shown[-1].update()

    def end(*_what: object) -> None:
        shown.pop().close()

    with Callback(start_state=begin, posttask=advance, finish=end):
        yield


@contextlib.contextmanager
def stop_on_interrupt(
    said: str = "Stopping after this step; Ctrl-C again stops at once and loses the training.",
) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that work can end well; the second one interrupts."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say(said)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def problem_of(error: DenoisingError | MemoryError | OSError) -> str:
    """Return what is said of an image that could not be worked on: cause and remedy."""
    if isinstance(error, BrokenPipeError):  # whoever reads our output has enough
        raise error
    if isinstance(error, DenoisingError):
        return str(error)
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    what = f"{error.strerror or error}".rstrip(".")
    return f"{what}. Check that the file can be read and that its result has room."


class Batch:
    """Several images, one after the other: one that fails is reported, and the rest goes on."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.failed = 0

    def __iter__(self) -> Iterator[Path]:
        """Go through the paths."""
        return iter(self.paths)

    @contextlib.contextmanager
    def one(self, path: Path) -> Iterator[None]:
        """Work on one image; what cannot be done with it is reported here."""
        try:
            yield
        except (DenoisingError, MemoryError, OSError) as error:
            self.fail(path, problem_of(error))

    def fail(self, path: Path, problem: str) -> None:
        """Report an image that could not be worked on."""
        self.failed += 1
        say(problem if str(path) in problem else f"{path}: {problem}")

    def end(self) -> None:
        """End the command with exit code 1 if an image failed."""
        if self.failed and len(self.paths) > 1:
            say(f"{self.failed} of {len(self.paths)} images failed.")
        if self.failed:
            raise typer.Exit(1)


def output_paths(
    inputs: Sequence[Path],
    output: Path,
    *,
    overwrite: bool,
    ending: str = "",
    unfinished: bool = False,
) -> list[Path]:
    """Return where the result of each input goes, and refuse to lose a file.

    Parameters
    ----------
    inputs : sequence of Path
        The images.
    output : Path
        A file, for one input; for several, or if it is there or is written with a slash at its
        end, a folder, which is made. A pattern with {stem}, {suffix}, {name} or {folder} of each
        input, such as ``out/{stem}_clean{suffix}``.
    overwrite : bool
        Whether results may replace files that are there. Inputs are never replaced.
    ending : str
        Of the names in a folder, in place of the inputs' own, such as ``"_latent.tif"``.
    unfinished : bool
        Whether a folder that holds a result with a record of its tiles is taken: it is gone on
        with, or refused later.

    Raises
    ------
    DenoisingError
        If an output is an input, is there already, or stands for two inputs.
    """
    pattern = is_pattern(output)
    folder = not pattern and (len(inputs) > 1 or (output.is_dir() and not _is_zarr_output(output)))
    if pattern:
        made = [named_by(output, path) for path in inputs]
    elif folder:
        if output.exists() and not output.is_dir():
            raise DenoisingError(
                f"{output} is a file, but {len(inputs)} results need a folder.",
                "Give the name of a folder.",
            )
        made = [output / (path.stem + ending if ending else path.name) for path in inputs]
    else:
        made = [output]
    seen: dict[Path, Path] = {}
    for source, target in zip(inputs, made, strict=True):
        format_of(target)
        if any(same_file(target, other) for other in inputs):
            raise DenoisingError(
                f"{target} is an input, which would be lost.", "Give another output."
            )
        if target in seen:
            raise DenoisingError(
                f"{seen[target]} and {source} would both be written to {target}.",
                "Do them one by one, or rename one of them.",
            )
        seen[target] = source
        if not (unfinished and (target / FILE_NAME).exists()):
            refuse_existing(target, overwrite=overwrite)
    for parent in {target.parent for target in made} if pattern else ():
        make_folder(parent)
    if folder:
        make_folder(output)
    return made


def _is_zarr_output(path: Path) -> bool:
    return path.suffix.lower() == ".zarr"


def make_folder(path: Path) -> None:
    """Make a folder, if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DenoisingError(
            f"The folder {path} cannot be made: {error.strerror or error}.",
            "Choose another place that may be written to.",
        ) from error


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse an output that is there already."""
    if path.exists() and not overwrite:
        raise DenoisingError(
            f"{path} is there already.", "Give another name, or --overwrite to replace it."
        )


def decibels(value: float) -> str:
    """Return a PSNR as text."""
    return "not measured" if math.isnan(value) else f"{value:.2f} dB"

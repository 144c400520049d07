"""What the commands share: messages in one line, progress bars and Ctrl-C."""

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

from napari_ae_denoise.errors import NO_MEMORY, DenoisingError, about_torch, problem_of, unforeseen
from napari_ae_denoise.output_names import each_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PROGRAM = "napari-ae-denoise"
INTERRUPTED = 130  # the exit code of a program that Ctrl-C has ended
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
        except typer.Abort:
            raise
        except DenoisingError as error:
            say(str(error))
        except MemoryError:
            say(NO_MEMORY)
        except KeyboardInterrupt:
            say("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # whoever reads our output has enough
            raise
        except Exception as error:
            # the parser's own end so: of typer's copy of click only some have a public name
            if hasattr(error, "exit_code"):
                raise
            say(about_torch(error) or unforeseen(error))
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


class Batch:
    """Several images, one after the other: one that fails is reported, and the rest goes on."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = each_once(paths)
        self.failed = 0

    def __iter__(self) -> Iterator[Path]:
        """Go through the paths."""
        return iter(self.paths)

    @contextlib.contextmanager
    def one(self, path: Path) -> Iterator[None]:
        """Work on one image; what cannot be done with it is reported here."""
        try:
            yield
        except typer.Exit:  # Ctrl-C
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the other images go on)
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


def decibels(value: float) -> str:
    """Return a PSNR as text."""
    return "not measured" if math.isnan(value) else f"{value:.2f} dB"

"""The job of the *Batch* panel: from what the form says to what became of each image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ae_denoise._qt.opened_models import wait_for
from napari_ae_denoise._qt.worker import in_words
from napari_ae_denoise.batch import batch_steps
from napari_ae_denoise.batch_report import check_report, write_report
from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.image_files import FORMATS, find_images
from napari_ae_denoise.output_names import each_once, make_folder, resolve_outputs
from napari_ae_denoise.report import log

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from concurrent.futures import Future

    from napari_ae_denoise.batch import BatchProgress, Outcome, Work
    from napari_ae_denoise.denoiser import Denoiser
    from napari_ae_denoise.output_names import Outputs


@dataclass(frozen=True, slots=True, eq=False)
class BatchChoices:
    """What the form says, of which nothing is looked up yet.

    Parameters
    ----------
    wanted : tuple of Path
        Images, folders and patterns.
    base : Path or None
        The folder that the output lies in, unless it begins at the root.
    output : str
        A folder, a pattern, or the name of one image.
    latent, noise, report : bool
        What is written beside the denoised images.
    found : Future
        The model, whose file may have to be read first.
    work : Work
        What to do with each image.
    at_once : int
        Images at the same time.
    """

    wanted: tuple[Path, ...]
    base: Path | None
    output: str
    latent: bool
    noise: bool
    report: bool
    found: Future[Denoiser]
    work: Work
    at_once: int

    def images(self) -> list[Path]:
        """Find the images.

        Raises
        ------
        DenoisingError
            If there are none.
        """
        return each_once(find_images(self.wanted))

    def places(self, images: list[Path]) -> tuple[list[Outputs], Path | None]:
        """Return where the results of each image go, and the report; make the folders.

        Raises
        ------
        DenoisingError
            If something would be lost, or the output does not fit.
        """
        output, beside = _places(self.base, self.output, len(images))
        overwrite = self.work.overwrite
        outputs = resolve_outputs(
            images,
            output,
            beside / "{stem}_latent.tif" if self.latent else None,
            beside / "{stem}_noise.tif" if self.noise else None,
            overwrite=overwrite,
        )
        folder = outputs[0].denoised.parent
        make_folder(folder)
        report = folder / "report.html" if self.report else None
        if report is not None:
            check_report(report, overwrite=overwrite)
        return outputs, report


@dataclass(frozen=True, slots=True)
class BatchDone:
    """How it ended; ``warning`` says why there is no report."""

    outcomes: tuple[Outcome, ...]
    total: int
    report: Path | None
    warning: str = ""

    @property
    def made(self) -> int:
        """How many images are denoised."""
        return sum(not (outcome.problem or outcome.skipped) for outcome in self.outcomes)


def batch_job(
    choices: BatchChoices, stop: threading.Event
) -> Generator[BatchProgress | None, None, BatchDone]:
    """Denoise, and write the report of what was begun; the outcomes are told without it too.

    The model is waited for, and the images are searched, here too: of a large folder that takes its
    time.
    """
    denoiser = yield from wait_for(choices.found, stop)
    if denoiser is None:
        return BatchDone((), 0, None)
    paths = choices.images()
    if stop.is_set():
        return BatchDone((), len(paths), None)
    outputs, place = choices.places(paths)
    outcomes = yield from batch_steps(
        paths,
        outputs,
        choices.work,
        denoiser=denoiser,
        stop=stop,
        at_once=choices.at_once,
    )
    report, warning = place if outcomes else None, ""
    if report is not None:
        work, name = choices.work, denoiser.card.name
        try:
            write_report(report, outcomes, name, axes=work.axes, level=work.level)
        except DenoisingError as error:
            report, warning = None, f"There is no report: {error}"
        except Exception as error:  # noqa: BLE001 (logged, and said with the outcomes)
            log(error)
            report, warning = None, f"There is no report: {in_words(error)}"
    return BatchDone(tuple(outcomes), len(paths), report, warning)


def _places(base: Path | None, told: str, images: int) -> tuple[Path, Path]:
    """Return the output, and the folder for what else is made; both may be patterns."""
    # what a folder is called is no pattern
    base = None if base is None else Path(str(base).replace("{", "{{").replace("}", "}}"))
    output = Path(told).expanduser()
    output = output if base is None else base / output
    if "{" in told:
        return output, output.parent
    if told.lower().endswith(tuple(FORMATS)):
        if images == 1:
            return output, output.parent
        raise DenoisingError(
            f"The output {told} is the name of one image, but there are {images}.",
            "Give a folder in Output, or a pattern such as out/{stem}_clean{suffix}.",
        )
    return output / "{name}", output

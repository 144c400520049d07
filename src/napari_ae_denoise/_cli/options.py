"""The arguments and options of the commands, each with its unit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from napari_ae_denoise._cli import parsers

# ---- shared by several commands

Images = Annotated[
    list[Path], Argument(help='Images, folders of images, or patterns such as "scans/*.tif".')
]
Output = Annotated[
    Path,
    Option(
        "-o",
        "--output",
        help="File to write, or a folder (a name without an ending, and for several images); or a "
        'pattern such as "out/{stem}_clean{suffix}".',
    ),
]
Jobs = Annotated[
    int, Option("--jobs", "-j", min=1, help="Images at once, each in a process of its own.")
]
Scheduler = Annotated[
    str | None,
    Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Address of a dask scheduler, such as tcp://10.0.0.1:8786: the workers of its cluster "
        "denoise the images. They need this package, and the files at the same paths.",
    ),
]
Report = Annotated[
    Path | None,
    Option("--report", help="Page with a picture and figures of each image, .html or .md."),
]
Overwrite = Annotated[
    bool, Option("--overwrite", help="Replace outputs that are there. Inputs never are.")
]
SkipExisting = Annotated[
    bool, Option("--skip-existing", help="Leave images alone whose outputs are all there.")
]
Axes = Annotated[
    str | None,
    Option(
        "--axes",
        help="One letter of N, T, Z, C, Y, X per axis, such as ZYX. Default: as the file says, "
        "or guessed from the shape.",
    ),
]
ModelName = Annotated[
    str, Option("--model", "-m", help="Name of a bundled model, or a model file.")
]
ModelOrFitting = Annotated[
    str | None,
    Option(
        "--model",
        "-m",
        help="Name of a bundled model, or a model file. Default: the bundled one that fits the "
        "first image.",
    ),
]
_TILE = 'Side of the tiles; by default "auto": by free memory.'
Tile = Annotated[Any, Option("--tile", parser=parsers.tile, metavar="PIXELS", help=_TILE)]
Device = Annotated[str, Option("--device", help='"auto", "cpu", "cuda", "cuda:1" or "mps".')]
Precision = Annotated[
    str, Option("--precision", help='"auto", "float32", "bfloat16" or "float16" (GPU only).')
]

# ---- demo

Seconds = Annotated[float, Option("--seconds", min=1, help="Length of the training, in seconds.")]
Picture = Annotated[
    Path | None, Option("-o", "--output", help="Write the picture here: .png, .svg or .pdf.")
]

# ---- noise

Sigma = Annotated[
    float | None,
    Option(
        "--sigma",
        help="Gaussian noise: standard deviation, in grey values; with --relative, a fraction of "
        "the image's data range.",
    ),
]
Gain = Annotated[
    float | None,
    Option(
        "--gain",
        help="Camera noise (Poisson-Gaussian), instead of --sigma: grey values per photoelectron.",
    ),
]
Offset = Annotated[
    float, Option("--offset", help="Of the camera: grey value where there is no light.")
]
ReadNoise = Annotated[
    float,
    Option(
        "--read-noise",
        help="Of the camera: standard deviation of its Gaussian part, in grey values. 0 is pure "
        "Poisson noise.",
    ),
]
RelativeNoise = Annotated[
    bool, Option("--relative", help="Sigma and mean are fractions of each image's data range.")
]
Mean = Annotated[float, Option("--mean", help="Mean of the noise, in the unit of sigma.")]
Clip = Annotated[
    bool, Option("--clip", help="Clip to the image's own smallest and largest grey value.")
]
NoiseSeed = Annotated[
    int, Option("--seed", min=0, help="Same seed, same noise; each further image has the next.")
]

# ---- train

ModelFile = Annotated[Path, Option("-o", "--output", help="Model file to write, .safetensors.")]
Clean = Annotated[
    list[Path] | None,
    Option("--clean", metavar="PATH...", help="Clean images: files, or a folder."),
]
Noisy = Annotated[
    list[Path] | None,
    Option(
        "--noisy", metavar="PATH...", help="Noisy images of the same things, in the same order."
    ),
]
NoisyAgain = Annotated[
    list[Path] | None,
    Option(
        "--noisy-again", metavar="PATH...", help="With --noisy: a second noisy image of each thing."
    ),
]
Kind = Annotated[
    str,
    Option(
        "--kind",
        help="Kind of autoencoder: denoising, autoencoder, convolutional, fully-connected, linear, "
        "under-complete, over-complete, stacked, regularized, sparse, variational, contractive or "
        "marginalized; docs/family.md shows each.",
    ),
]
Depth = Annotated[
    int | None, Option("--depth", help="Levels of the network, 1 to 6. Default: as the preset.")
]
CodeChannels = Annotated[
    int | None, Option("--code-channels", help="Channels of the code. Default: as the kind has it.")
]
Penalty = Annotated[
    str | None,
    Option(
        "--penalty",
        help='Of the kind regularized: "weights-l2" or "weights-l1"; of the kind sparse: '
        '"sparsity" or "activity-l1".',
    ),
]
PenaltyWeight = Annotated[
    float | None,
    Option("--penalty-weight", help="How strong the kind's penalty is (lambda or beta)."),
]
SparsityTarget = Annotated[
    float | None,
    Option("--sparsity-target", help="Mean activity of code units, 0 to 1 (kind sparse)."),
]
Preset = Annotated[
    str | None,
    Option(
        "--preset",
        help='"residual" (the modern default), "residual-large", "classic" (the tutorial\'s) or '
        '"dense" (fully connected). Default: as the kind has it.',
    ),
]
SigmaRange = Annotated[
    tuple[float, float] | None,
    Option(
        "--sigma",
        metavar="LOW HIGH",
        help="Range of the noise that is added to clean images, in grey values; with --relative, "
        "fractions of each image's data range. Default: 0 50, or 0 0 for kinds without noise.",
    ),
]
RelativeRange = Annotated[bool, Option("--relative", help="See --sigma.")]
Epochs = Annotated[
    float | None,
    Option("--epochs", help="Length: passes over the data, of at least 50 batches each."),
]
Steps = Annotated[int | None, Option("--steps", help="Length: batches. Default: 1000.")]
Minutes = Annotated[float | None, Option("--minutes", help="Length: time.")]
BatchSize = Annotated[int, Option("--batch-size", help="Patches a step.")]
PatchSize = Annotated[int, Option("--patch-size", help="Side of the patches, in pixels.")]
LearningRate = Annotated[
    float | None,
    Option(
        "--learning-rate",
        help="Its highest value. Default: 2e-3; 6e-3 for classic without a penalty; with --from "
        "5e-4.",
    ),
]
Loss = Annotated[
    str, Option("--loss", help='"mse" (mean squared error) or "l1" (mean absolute error).')
]
Scheme = Annotated[
    str,
    Option(
        "--scheme",
        help='With --noisy alone: "recorrupted" (Gaussian or camera noise), "blind-spot" (any '
        'noise that is independent from pixel to pixel), or "auto".',
    ),
]
NoiseSigma = Annotated[
    float | None,
    Option("--noise-sigma", help="Of the --noisy images, in grey values; estimated by default."),
]
_NOISES = '"gaussian", "camera" (Poisson-Gaussian), "photograph" (as JPEG leaves it), or "auto"'
TrainingNoise = Annotated[
    str, Option("--noise", help=f"Added to --clean: {_NOISES}: that of --from, else Gaussian.")
]
TrainingSeed = Annotated[int, Option("--seed", min=0, help="Same seed, same weights, on the CPU.")]
Start = Annotated[
    str | None,
    Option("--from", help="Model to go on from (fine-tuning); its network replaces the preset."),
]
Checkpoint = Annotated[
    Path | None, Option("--checkpoint", help="File to keep the state in, and to resume from.")
]

# ---- denoise, encode

Strength = Annotated[float, Option("--strength", help="From 0 (unchanged) to 1 (fully denoised).")]
NumberType = Annotated[
    str | None,
    Option("--dtype", help="Type of the result, such as float32. Default: the image's own."),
]
NoiseModelName = Annotated[
    str,
    Option(
        "--noise-model",
        help='"gaussian", "camera" (Poisson-Gaussian: estimated, levelled before the network, and '
        'undone), or "auto": by what the image shows.',
    ),
]
CorrelatedAxes = Annotated[
    str,
    Option(
        "--correlated",
        help="Axes along which neighbouring pixels share their noise, as after binning, scaling or "
        'registration: "none", "x", "y", "xy", or "auto": where it is plain to see.',
    ),
]
Orientations = Annotated[
    int,
    Option(
        "--orientations",
        help="8: the image is denoised turned and mirrored as well, and the results are averaged; "
        "about 0.1 dB better, in eight times the time.",
    ),
]
Level = Annotated[
    int, Option("--level", help="Of OME-Zarr images: 0 is full resolution, 1 half of it, ...")
]
Latent = Annotated[
    Path | None,
    Option(
        "--latent",
        help="Write the latent code here too: .tif, .npy or .zarr; for several images, a folder.",
    ),
]
Removed = Annotated[
    Path | None,
    Option(
        "--noise",
        help="Write the removed noise (image minus result) here too, float32; for several images, "
        "a folder.",
    ),
]
Image = Annotated[Path, Argument(help="Image.")]
CodeFile = Annotated[Path, Option("-o", "--output", help="File for the code: .npy, .tif or .zarr.")]

# ---- compare, info

Reference = Annotated[Path, Argument(help="The image that the others should be like.")]
Compared = Annotated[list[Path], Argument(help="Images, or folders of images, to compare.")]
DataRange = Annotated[
    float | None,
    Option(
        "--data-range",
        help="Peak of the PSNR, in grey values. Default: 255 for 8-bit references, else largest "
        "minus smallest grey value of the reference.",
    ),
]
Described = Annotated[str | None, Argument(help="Name of a bundled model, or a model file.")]

# ---- export, fashion-mnist

Exported = Annotated[str, Argument(help="Name of a bundled model, or a model file.")]
AsTutorial = Annotated[
    bool,
    Option(
        "--as-tutorial",
        help="Train as the original Keras program does: noise drawn once, Adam at 0.001. Default: "
        "noise drawn afresh in each batch, Muon, and a learning rate that falls.",
    ),
]
TutorialEpochs = Annotated[float, Option("--epochs", help="Length: passes over the images.")]
TutorialNetwork = Annotated[
    str,
    Option("--network", help='"classic" (the tutorial\'s) or "better" (after the same time).'),
]
TutorialOptimizer = Annotated[
    str | None,
    Option("--optimizer", help='"muon" (default) or "adam" (the tutorial\'s, and its only one).'),
]
ResultFolder = Annotated[Path, Option("-o", "--output", help="Folder for pictures and model.")]

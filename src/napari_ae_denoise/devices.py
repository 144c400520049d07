"""What there is to compute on, in which precision, with how many threads."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import nn

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.graphics_cards import unused_card
from napari_ae_denoise.steps import WhileUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_FIRST_WITH_BFLOAT16 = (8, 0)  # compute capability: Ampere
_BFLOAT16_GAIN = 1.15  # how much faster it must be to be worth its rounding
_measuring = threading.Lock()
_preferred = {"threads": 0}  # see `prefer_threads`


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that can be chosen.

    Parameters
    ----------
    name : str
        What to give as ``device``: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    description : str
        The hardware's own name.
    free_bytes : int or None
        Memory that is free now; None where the system does not tell.
    """

    name: str
    description: str
    free_bytes: int | None

    def __str__(self) -> str:
        """Return the line that people choose from."""
        free = "" if self.free_bytes is None else f", {self.free_bytes / 1024**3:.1f} GiB free"
        return f"{self.name} ({self.description}{free})"


def available_devices(*, measured: bool = True) -> list[DeviceInfo]:
    """Return what there is, the fastest first and the CPU last.

    Parameters
    ----------
    measured : bool
        Whether to ask for the free memory of GPUs: this opens each of them, which takes seconds
        and some of that memory.
    """
    found = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            name, free = "does not answer", None
            with contextlib.suppress(RuntimeError):  # a lost device must not take the CPU with it
                name = torch.cuda.get_device_name(number)
                if measured:
                    free = int(torch.cuda.mem_get_info(number)[0])
            found.append(DeviceInfo(f"cuda:{number}", name, free))
    if torch.backends.mps.is_available():
        found.append(DeviceInfo("mps", "Apple GPU", psutil.virtual_memory().available))
    processor = platform.processor() or platform.machine()
    memory = psutil.virtual_memory().available
    return [*found, DeviceInfo("cpu", f"{processor}, {cpu_count()} cores", memory)]


def unused_gpu() -> str:
    """Return a sentence on a GPU that is here and not used, with the remedy; empty if none.

    It may ask the driver, which takes up to some seconds.
    """
    names = [device.name for device in available_devices(measured=False)]
    return unused_card(names, torch.version.cuda is not None)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        ``"auto"`` for the fastest there is, ``"cuda"`` for the first GPU, or a `DeviceInfo.name`.

    Raises
    ------
    DenoisingError
        If there is no such device here; names those there are.
    """
    names = [device.name for device in available_devices(measured=False)]
    wanted = names[0] if name == "auto" else "cuda:0" if name == "cuda" else name
    if wanted not in names:
        hint = ""
        if str(wanted).startswith("cuda") and torch.version.cuda is None:
            hint = " This PyTorch was built without CUDA: install a CUDA build from pytorch.org."
        raise DenoisingError(
            f'There is no device "{name}" here.', f'Choose "auto" or one of {names}.{hint}'
        )
    return torch.device(wanted)


def choose_precision(device: torch.device, precision: str = "auto") -> torch.dtype:
    """Return the number type that the network computes in.

    Parameters
    ----------
    device : torch.device
        Where it will compute.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``auto`` is float16 on CUDA, float32 on MPS, and on the CPU bfloat16 where a measurement
        at first use shows that it pays: on processors without bfloat16 units it is slower.
        NVIDIA cards since Ampere round to TF32 in convolutions of float32, as torch has it.

    Raises
    ------
    DenoisingError
        If the name is not known.
    """
    if precision == "auto":
        if device.type == "cuda":
            return torch.float16
        if device.type == "cpu":
            with _measuring:  # two threads that measure at once may find two answers
                return torch.bfloat16 if _bfloat16_pays() else torch.float32
        return torch.float32
    if precision not in PRECISIONS:
        raise DenoisingError(
            f'The precision "{precision}" is not known.',
            f'Choose "auto" or one of {", ".join(PRECISIONS)}.',
        )
    if precision == "float16" and device.type == "cpu":
        raise DenoisingError(
            "float16 is not computed on the CPU.", 'Choose "bfloat16", "float32" or "auto".'
        )
    return PRECISIONS[precision]


def training_precision(device: torch.device, precision: str = "auto") -> torch.dtype:
    """Return the number type to train in: as `choose_precision`, but never float16.

    The gradients of a small loss vanish in float16; bfloat16 has the range of float32.
    """
    chosen = choose_precision(device, precision)
    if chosen != torch.float16:
        return chosen
    return torch.bfloat16 if _has_bfloat16(device) else torch.float32


def _has_bfloat16(gpu: torch.device) -> bool:
    """Return whether a GPU has units for bfloat16.

    ``torch.cuda.is_bf16_supported`` also says so of cards that emulate it, which is slower than
    float32, and asks the current card.
    """
    if torch.version.hip:
        return True
    return torch.cuda.get_device_capability(gpu) >= _FIRST_WITH_BFLOAT16


@functools.cache
def _bfloat16_pays() -> bool:
    """Measure once per process, with one convolution of the kind that our networks are made of."""
    # no module: it would draw its weights, and change those that another thread draws by seed; or,
    # made on "meta" to draw none, it has torch import sympy, which takes two seconds
    weight = torch.ones(64, 64, 3, 3).to(memory_format=torch.channels_last)
    x = torch.zeros(1, 64, 96, 96).to(memory_format=torch.channels_last)

    def seconds(dtype: torch.dtype) -> float:
        laps = []
        with torch.inference_mode(), computing_in(dtype, torch.device("cpu")):
            for _ in range(6):  # the first lap prepares kernels
                begin = time.perf_counter()
                nn.functional.conv2d(x, weight, padding=1)
                laps.append(time.perf_counter() - begin)
        return statistics.median(laps[1:])

    return seconds(torch.float32) > _BFLOAT16_GAIN * seconds(torch.bfloat16)


def computing_in(
    dtype: torch.dtype, device: torch.device
) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which convolutions compute in ``dtype``."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def cpu_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spare_a_core() -> contextlib.AbstractContextManager[None]:
    """Compute on all cores but one, which stays for the window and for reading files.

    torch with one thread per core waits, spinning, for the one that another process has displaced:
    seen to be ten times slower. `prefer_threads`, or else ``OMP_NUM_THREADS``, is obeyed.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    usual = int(asked) if asked.isdigit() and int(asked) else max(1, cpu_count() - 1)
    return using_threads(_preferred["threads"] or usual)


def prefer_threads(count: int) -> None:
    """Let work that begins from now on compute with some number of threads; 0 for the usual one."""
    _preferred["threads"] = max(0, count)


@contextlib.contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Let torch compute with some number of threads.

    The number belongs to the calling thread: this stands around the work, in the thread that does
    it. A thread that has none of its own takes the one that any thread set last, so that is put
    back once nobody is inside any more.
    """
    with _usual_for_others:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextlib.contextmanager
def _kept_for_others() -> Iterator[None]:
    """Keep the number of threads that new threads compute with."""
    try:
        before = _in_a_new_thread(torch.get_num_threads)
    except RuntimeError:  # the system gives no more threads, or Python ends
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):
            _in_a_new_thread(lambda: torch.set_num_threads(before))


def _in_a_new_thread(call: Callable[[], Any]) -> Any:
    made = []
    thread = threading.Thread(target=lambda: made.append(call()))
    thread.start()
    thread.join()
    return made[0]


_usual_for_others = WhileUsed(_kept_for_others)


def give_memory_back() -> None:
    """Give the system back what torch keeps of GPUs for its next use, where it uses any."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


@contextlib.contextmanager
def memory_given_back() -> Iterator[None]:
    """Let a job give the memory of GPUs back at its end, whatever end that is."""
    try:
        yield
    finally:
        give_memory_back()


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    signs = ("out of memory", "allocate memory", "not enough memory", "alloc_cpu", "alloc_failed")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


@contextlib.contextmanager
def memory_errors(cause: str, remedy: str) -> Iterator[None]:
    """Turn errors that say that memory ran out into a `DenoisingError` of two sentences."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DenoisingError(cause, remedy) from error


def free_memory(device: torch.device | None = None) -> int:
    """Return the bytes that are free on a device; by default those of the computer itself."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)

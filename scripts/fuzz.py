"""Damage model files at random and open them: each is refused, or gives the same weights.

Files of each kind (.safetensors, a training's checkpoint, .h5, .keras) are mutated by seed and
opened in a child process, which may take 2 s of processor time and the size of the file plus 200 MB
of memory for each. Anything but a DenoisingError or bit-equal weights is a finding: another
exception, a crash, a hang, other weights, or a pickle among the bytes that was run. HDF5 keeps no
checksum of its numbers: for .h5, and for a .keras whose checksums were made anew, other finite
weights of the same shapes are counted, and are no finding.

    python scripts/fuzz.py --seconds 60 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import itertools
import json
import os
import pickle
import random
import select
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

KINDS = ("safetensors", "checkpoint", "h5", "keras", "zip")
OUTCOMES = ("refused", "equal", "other numbers")
_CPU_SECONDS, _WALL_SECONDS = 2.0, 60.0  # the second ends a hang
_MEMORY = 200 * 1024**2  # bytes beside the file itself
_LENGTHS = (1, 2, 4, 8)
_NUMBERS = (0, 1, -1, 2**7, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1)
_VALUES = (None, True, -1, 0, 1.5, 2**31, 2**63, 10**40, "", "x", "\x1b", [], {}, [[]], "os.system")


class Canary:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        """Open the file."""
        return open, (str(self.path), "w")


# ---- what is mutated


def originals(folder: Path) -> dict[str, bytes]:
    """Return a good file of each kind."""
    import torch

    from napari_ae_denoise.interop.keras_writer import save_keras
    from napari_ae_denoise.model_file import write_model

    denoiser = _denoiser()
    denoiser.save(folder / "m.safetensors")
    for kind in ("h5", "keras"):
        save_keras(denoiser, folder / f"m.{kind}")
    (folder / "m.zip").write_bytes(_package(denoiser))
    state = _state()
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for weight in state._network.parameters():
            weight.grad = torch.randn(weight.shape, generator=generator)
        state._optimizer.step()
        state.after_step()
    state.keep_if_best(20.0)
    state.save(folder / "m.checkpoint")
    write_model(folder / "again", *_read(folder / "m.checkpoint"))
    return {kind: (folder / f"m.{kind}").read_bytes() for kind in KINDS}


def _denoiser():
    import torch

    from napari_ae_denoise import Denoiser
    from napari_ae_denoise.card import Card
    from napari_ae_denoise.network_spec import NetworkSpec
    from napari_ae_denoise.networks import ConvAutoencoder

    spec = NetworkSpec("plain", widths=(4, 3))
    torch.manual_seed(0)
    return Denoiser(ConvAutoencoder(spec), Card(network=spec, name="fuzzed"))


def _package(denoiser) -> bytes:
    """Return a package of bioimage.io whose PyTorch weights are for a network of ours."""
    import torch

    weights = io.BytesIO()
    torch.save(dict(denoiser.network.state_dict()), weights)
    card = denoiser.card.to_record()
    architecture = {
        "import_from": "napari_ae_denoise.interop.grey_values",
        "callable": "from_records",
        "kwargs": {"network": card["network"], "normalization": card["normalization"]},
    }
    described = {
        "name": "fuzzed",
        "weights": {"pytorch_state_dict": {"source": "w.pt", "architecture": architecture}},
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        target.writestr("rdf.yaml", json.dumps(described))  # which is yaml, too
        target.writestr("w.pt", weights.getvalue())
    return made.getvalue()


def _state():
    import torch
    from torch import nn

    from napari_ae_denoise.checkpoint import TrainingState

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 1, 3))
    return TrainingState(network, torch.optim.AdamW(network.parameters()), average=0.9)


def _read(path: Path):
    from napari_ae_denoise.model_file import read_model

    return read_model(path)


# ---- how


def mutated(
    files: dict[str, bytes], kind: str, dice: random.Random, tokens: list[bytes]
) -> tuple[bytes, bool]:
    """Return a file of a kind with one to five faults, and whether a checksum could tell them."""
    if kind in ("safetensors", "checkpoint") and dice.random() < 0.35:
        return _in_header(files[kind], dice), True
    if kind in ("keras", "zip") and dice.random() < 0.5:
        return _in_member(files, kind, dice, tokens), False
    return _in_bytes(files[kind], dice, tokens, files), kind != "h5"


def _in_bytes(
    blob: bytes, dice: random.Random, tokens: list[bytes], files: dict[str, bytes]
) -> bytes:
    data = bytearray(blob)
    front = dice.random() < 0.5  # most that can go wrong is said at the front
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        if not data:
            break
        span = min(len(data), 2048) if front else len(data)
        at = dice.randrange(span)
        length = min(dice.choice([1, 2, 7, 64, 1000]), len(data) - at)
        match dice.randrange(9):
            case 0 | 1:
                data[at] ^= 1 << dice.randrange(8)
            case 2:
                data[at] = dice.randrange(256)
            case 3:
                size = dice.choice(_LENGTHS)
                number = dice.choice(_NUMBERS) + dice.choice([-1, 0, 1])
                data[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
            case 4:
                del data[at : at + length]
            case 5:
                data[at:at] = data[at : at + length] * dice.choice([1, 2, 50])
            case 6:
                data[at:at] = dice.choice(tokens)
            case 7:
                del data[at:]
            case 8:
                other = files[dice.choice(KINDS)]
                begin = dice.randrange(len(other))
                data[at : at + length] = other[begin : begin + length]
    return bytes(data)


def _in_header(blob: bytes, dice: random.Random) -> bytes:
    """Change one value of the header or of the card, so that lengths and json still fit."""
    length = struct.unpack("<Q", blob[:8])[0]
    header, weights = json.loads(blob[8 : 8 + length]), blob[8 + length :]
    if dice.random() < 0.5:
        _change(header, dice)
    else:
        card = json.loads(header["__metadata__"]["card"])
        _change(card, dice)
        header["__metadata__"]["card"] = json.dumps(card)
        if dice.random() < 0.8:  # an attacker knows how to make a checksum
            header["__metadata__"].pop("sha256")
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + weights


def _change(record: dict | list, dice: random.Random) -> None:
    """Change, remove or add one value somewhere in a record."""
    while True:
        keys = list(record) if isinstance(record, dict) else list(range(len(record)))
        if not keys:
            return
        key = dice.choice(keys)
        if isinstance(record[key], dict | list) and dice.random() < 0.7:
            record = record[key]
            continue
        match dice.randrange(4):
            case 0:
                del record[key]
            case 1 | 2:
                record[key] = dice.choice(_VALUES)
            case 3 if isinstance(record, dict):
                record[dice.choice(["", "x", "__reduce__", f"{key}2"])] = record[key]
            case 3:
                record.append(record[key])
        return


def _in_member(
    files: dict[str, bytes], kind: str, dice: random.Random, tokens: list[bytes]
) -> bytes:
    """Damage one member of the archive, whose checksum then fits again."""
    with zipfile.ZipFile(io.BytesIO(files[kind])) as source:
        parts = [(entry.filename, source.read(entry)) for entry in source.infolist()]
    chosen = dice.randrange(len(parts))
    name, blob = parts[chosen]
    if name.endswith((".json", ".yaml")) and dice.random() < 0.7:
        record = json.loads(blob)
        _change(record, dice)
        blob = json.dumps(record).encode()
    else:
        blob = _in_bytes(blob, dice, tokens, files)
    parts[chosen] = (dice.choice([name] * 9 + ["../x", "/x", "config.json"]), blob)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", dice.choice([0, 0, 8])) as target:
        for name, blob in parts:
            target.writestr(zipfile.ZipInfo(name), blob)
    return made.getvalue()


# ---- the child: opens one file after the other


@functools.cache
def _size_of_program() -> int | None:
    """Return whether memory can be limited here: the bytes that this process spans now."""
    status = Path("/proc/self/statm")
    return (
        int(status.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else None
    )


@contextlib.contextmanager
def _memory_limited(size: int):
    if _size_of_program() is None:
        yield
        return
    import resource

    _size_of_program.cache_clear()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_size_of_program() + size + _MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _weights(kind: str, path: Path) -> dict:
    """Open a file; return what it gives."""
    if kind != "checkpoint":
        from napari_ae_denoise import Denoiser

        return dict(Denoiser.load(path).network.state_dict())
    state = _state()
    state.load(path)
    found = {f"best.{k}": v for k, v in state.best.items()}
    found |= {f"average.{i}": v for i, v in enumerate(state._average)}
    return found | dict(state._network.state_dict())


def _outcome(kind: str, path: Path, good: dict, checked: bool) -> str:
    """Open a file and say what became of it."""
    import torch

    from napari_ae_denoise import DenoisingError

    began = time.process_time()
    try:
        with _memory_limited(path.stat().st_size):
            found = _weights(kind, path)
    except DenoisingError as error:
        said = "refused" if error.cause and error.remedy else "refused without a word"
    except BaseException as error:  # noqa: BLE001 (whatever else it is, it is a finding)
        return f"{type(error).__name__}: {error}"[:300]
    else:
        same = found.keys() == good.keys() and all(torch.equal(found[k], good[k]) for k in good)
        alike = {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in good.items()}
        finite = all(torch.isfinite(v).all() for v in found.values())
        said = "equal" if same else "other weights"
        if not same and not checked and alike and finite:
            said = "other numbers"
    spent = time.process_time() - began
    return said if spent < _CPU_SECONDS else f"took {spent:.1f} s ({said})"


def _read_keras_by_one_process() -> None:
    """Let one process read all Keras files, as long as it lives: to start one takes long."""
    from napari_ae_denoise.interop import keras
    from napari_ae_denoise.interop.keras_apart import ReadingProcess
    from napari_ae_denoise.interop.keras_files import check_start

    processes: list[ReadingProcess] = []

    def read(path: Path):
        check_start(path)
        if not processes or not processes[-1].alive:
            processes.append(ReadingProcess().__enter__())
        return processes[-1].read(path)

    keras.read_apart = read


def _load_what_others_need(path: Path) -> None:
    """Open a package of another family: what is loaded for the first one takes seconds."""
    from napari_ae_denoise import Denoiser, DenoisingError

    with zipfile.ZipFile(path, "w") as package:
        package.writestr("rdf.yaml", "name: another\ntype: model\nformat_version: 0.5.3\n")
    with contextlib.suppress(DenoisingError):
        Denoiser.load(path)


def child(folder: Path, seed: int, first: int) -> None:
    """Mutate and open files from a number on; tell each outcome on a line."""
    import torch

    torch.set_num_threads(1)
    _read_keras_by_one_process()
    _load_what_others_need(folder / "another.zip")
    files = {kind: (folder / f"m.{kind}").read_bytes() for kind in KINDS}
    good = {kind: _weights(kind, folder / f"m.{kind}") for kind in KINDS}
    canary = folder / "canary"
    tokens = [pickle.dumps(Canary(canary), p) for p in (0, 2, 4)]
    tokens += [b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"PK\x05\x06", b'{"a":' * 2000, b"\0" * 9, b'"']
    for number in itertools.count(first):
        kind = KINDS[number % len(KINDS)]
        path = folder / f"x.{kind}"
        blob, checked = mutated(files, kind, random.Random(f"{seed} {number}"), tokens)
        path.write_bytes(blob)
        print("begin", flush=True)
        outcome = _outcome(kind, path, good[kind], checked)
        if canary.exists():
            outcome = "a pickle was run"
        print(json.dumps(outcome), flush=True)


# ---- the parent: counts, and goes on where a child died


def fuzz(seconds: float, files: int, seed: int, findings: Path) -> tuple[dict, list[str]]:
    """Open mutated files until time or files are over; return outcomes by kind, and findings."""
    counts = {kind: dict.fromkeys(OUTCOMES, 0) for kind in KINDS}
    found: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals(folder)
        end = time.monotonic() + seconds
        number = 0
        while number < files and time.monotonic() < end:
            command = [sys.executable, __file__, "--child", name, str(seed), str(number)]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
            while number < files and (number == 0 or time.monotonic() < end):
                outcome = _next(process)
                kind = KINDS[number % len(KINDS)]
                if outcome in OUTCOMES:
                    counts[kind][outcome] += 1
                else:
                    found.append(f"{kind}, seed {seed}, file {number}: {outcome}")
                    findings.mkdir(exist_ok=True)
                    kept = folder / f"x.{kind}"
                    (findings / f"{seed}-{number}.{kind}").write_bytes(kept.read_bytes())
                    if len(found) >= 100:
                        number = files
                number += 1
                if process.poll() is not None or outcome == "hangs":
                    break
            process.kill()
            process.wait()
    return counts, found


def _next(process: subprocess.Popen) -> str:
    """Return what a child says of its next file."""
    assert process.stdout is not None
    if not process.stdout.readline():
        return f"the process died before ({process.wait()})"
    if not select.select([process.stdout], [], [], _WALL_SECONDS)[0]:
        return "hangs"
    line = process.stdout.readline()
    return str(json.loads(line)) if line else f"the process died ({process.wait()})"


def main() -> None:
    """Fuzz and print a table; end with 1 if anything was found."""
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--files", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    args = parser.parse_args()
    began = time.monotonic()
    counts, found = fuzz(args.seconds, args.files, args.seed, args.findings)
    print(f"| kind | files | {' | '.join(OUTCOMES)} |\n|---|---|---|---|---|")
    for kind, outcomes in counts.items():
        numbers = [sum(outcomes.values()), *outcomes.values()]
        print(f"| {kind} | {' | '.join(map(str, numbers))} |")
    total = sum(sum(outcomes.values()) for outcomes in counts.values())
    print(f"\n{total} files in {time.monotonic() - began:.0f} s, seed {args.seed}.")
    print(f"findings: {len(found)}", *found, sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

"""What the manifest names: loaded when it is asked for, while the window is drawn.

A panel needs some 150 modules of this package, and PyTorch. To import them takes longer than to
make the panel, and is done in a thread here: the window stands still for the making only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from napari_ae_denoise._qt.loading import meanwhile

_MODULES = {
    "NoiseWidget": "noise_widget",
    "TrainWidget": "train_widget",
    "DenoiseWidget": "denoise_widget",
    "CompareWidget": "compare_widget",
    "BatchWidget": "batch_widget",
    "denoise_active_layer": "quick",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"{__package__}.{_MODULES[name]}"
    if module not in sys.modules:
        first = "torch" not in sys.modules
        said = "Loading PyTorch, once in a session …" if first else "Loading …"
        meanwhile(lambda: _load(module), said=said)
    found = globals()[name] = getattr(import_module(module), name)
    return found


def _load(module: str) -> None:
    import_module(f"{__package__}.needs_torch")  # first: it says what to do where there is none
    import_module(module)
    from napari_ae_denoise._qt.preferences import read_preferences

    read_preferences()

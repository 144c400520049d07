"""Imports PyTorch, or says in words why it cannot be loaded. To be imported before what needs it.

The window is drawn meanwhile.

On Windows, torch 2.9 and later can fail with WinError 1114 when it is loaded after Qt.
"""

from __future__ import annotations

import sys

from napari_ae_denoise._qt.loading import meanwhile
from napari_ae_denoise.errors import about_torch
from napari_ae_denoise.quiet_imports import load_torch

try:
    if "torch" not in sys.modules:
        meanwhile(load_torch, said="Loading PyTorch, once in a session …")
except OSError as error:
    raise ImportError(
        f"PyTorch could not be loaded after Qt ({error}). Start napari by "
        "\"python -c 'import torch, napari; napari.Viewer(); napari.run()'\", which loads PyTorch "
        "first, or install the newest Visual C++ Redistributable."
    ) from error
except ImportError as error:
    raise ImportError(about_torch(error) or str(error)) from error

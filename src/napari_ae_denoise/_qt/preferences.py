"""The plugin's page in napari's Preferences, and what panels remember from session to session."""

from __future__ import annotations

import contextlib
import os
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ae_denoise.session_memory import SessionMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PLUGIN = "napari-ae-denoise"
# What holds where napari is older than its page for plugins (0.9), or the plugin is not found.
_USUAL: dict[str, dict[str, Any]] = {
    "denoise": {"limit": 2.0, "folder": "", "tile": 0},
    "computing": {"device": "auto", "threads": 0},
    "panels": {"remember": True},
}


def read_preferences() -> None:
    """Read what the user prefers; the first time in a session napari reads all manifests for it."""
    _page("panels")


def preference(group: str, name: str) -> Any:
    """Return what the user prefers, by its names in the manifest."""
    return getattr(_page(group), name, _USUAL[group][name])


def prefer(field: Any, group: str, name: str) -> None:
    """Let a field begin with what the user prefers, and take it whenever that changes.

    The field is not held by it: once it is gone, so is the connection.
    """
    _take(weakref.ref(field), group, name)
    emitters = getattr(_page(group), "events", None)
    if emitters is not None:
        getattr(emitters, name).connect(partial(_take, weakref.ref(field), group, name))


def preferred_device() -> str:
    """Return the device that the user prefers, if it is there, by the name that torch takes."""
    from napari_ae_denoise.devices import available_devices

    names = [device.name for device in available_devices(measured=False)]
    return _matching(preference("computing", "device"), ["auto", *names]) or "auto"


def use_threads() -> None:
    """Let the panels' jobs that begin from now on compute with the threads that are preferred."""
    from napari_ae_denoise.devices import prefer_threads

    prefer_threads(preference("computing", "threads"))


def memory() -> SessionMemory | None:
    """Return what is remembered; None where the user prefers that nothing is."""
    path = memory_path() if preference("panels", "remember") else None
    return None if path is None else SessionMemory(path)


def memory_path() -> Path | None:
    """Return the file of what is remembered: in the system's own place for settings.

    ``NAPARI_CONFIG`` is obeyed as napari does: it is a file that this one lies beside, or it is
    empty, and nothing is kept.
    """
    import platformdirs

    asked = os.environ.get("NAPARI_CONFIG")
    if asked is None:
        return platformdirs.user_config_path(PLUGIN, appauthor=False) / "panels.json"
    return Path(asked).with_name(f"{PLUGIN}-panels.json") if asked else None


def restore(panel: str, fields: Sequence[Any]) -> None:
    """Put what the form of a panel said last into its fields, in their order.

    A value that a field does not take (any more) is left out: its choices, its range or its kind
    may be another one by now.
    """
    kept = memory()
    said = {} if kept is None else kept.form(panel)
    for field in fields:
        value = said.get(field.name)
        if type(value) is type(field.value) and value in getattr(field, "choices", (value,)):
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                field.value = value


def keeping(panel: str, fields: Sequence[Any]) -> Callable[[], None]:
    """Return what remembers the form of a panel as it is now; it writes: call it in a thread."""
    kept = memory()
    if kept is None:
        return lambda: None
    return partial(kept.keep_form, panel, {field.name: field.value for field in fields})


def _page(group: str) -> Any:
    """Return a group of napari's settings for this plugin; None where there is none."""
    try:
        from napari.settings import get_plugin_settings

        return getattr(get_plugin_settings(PLUGIN), group)
    except (ImportError, KeyError, AttributeError):
        return None
    except (AssertionError, ValueError, OSError):  # a damaged file, of which napari says so itself
        return None


def _take(field: weakref.ref[Any], group: str, name: str, *_: Any) -> None:
    alive, value = field(), preference(group, name)
    if alive is None:
        return
    with contextlib.suppress(RuntimeError):  # its Qt part is gone
        if hasattr(alive, "choices"):
            value = _matching(value, alive.choices) or alive.value
        alive.value = value


def _matching(wanted: str, choices: Sequence[str]) -> str:
    """Return the first choice of this name, or of this kind and a number: "cuda" is "cuda:0"."""
    fitting = (one for one in choices if one == wanted or one.startswith(f"{wanted}:"))
    return next(fitting, "")

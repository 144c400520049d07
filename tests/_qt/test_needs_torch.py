import subprocess
import sys

import pytest

_RUN = """
import sys

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise {error}

sys.meta_path.insert(0, Broken())
import napari_ae_denoise._qt.denoise_widget
"""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            'OSError("[WinError 1114] A dynamic link library failed")',
            ["1114", "loads PyTorch first"],
        ),
        (
            'ModuleNotFoundError("No module named torch", name="torch")',
            ["not installed", "pip install torch"],
        ),
    ],
)
def test_a_torch_that_cannot_be_loaded_is_said_with_the_remedy(error, words):
    code = _RUN.replace("{error}", error)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError")
    for word in words:
        assert word in last

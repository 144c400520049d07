"""What is run to test and to publish: pinned, without rights it does not need; and the wheel."""

import base64
import hashlib
import importlib.util
import re
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
needs_workflows = pytest.mark.skipif(not WORKFLOWS, reason="not in a source distribution")


@needs_workflows
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_actions_are_pinned_by_hash(path):
    used = re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
    assert used
    assert not [one for one in used if not re.search(r"@[0-9a-f]{40}$", one)]


@needs_workflows
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_may_only_read(path):
    text = path.read_text(encoding="utf-8")
    assert "permissions:\n  contents: read\n" in text
    rights = {"contents: write", "id-token: write"} if path.name == "release.yml" else set()
    assert set(re.findall(r"\S+: write", text)) == rights  # to publish, and nothing else
    assert "secrets." not in text
    assert "pull_request_target" not in text
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_every_dependency_is_pinned_to_one_version():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    pinned = r"[\w.-]+==[\w.]+(; python_version (<|>=) \"3\.\d+\")?"
    assert all(re.fullmatch(pinned, pin) for pin in pins)
    assert len(pins) > 50


# ---- the wheel


@pytest.fixture(scope="module")
def check():
    path = ROOT / "scripts" / "check_wheel.py"
    if not path.exists():
        pytest.skip("not in a source distribution")
    spec = importlib.util.spec_from_file_location("check_wheel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(path, check, change=lambda parts: parts, record=None):
    """Write a wheel of a few files, which a function has changed."""
    info = "napari_ae_denoise-0.dist-info"
    parts = {f"napari_ae_denoise/{name}": b"x" for name in check._NEEDED}
    parts |= {f"napari_ae_denoise/models/{n}.safetensors": b"y" for n in "abc"}
    parts[f"{info}/licenses/LICENSE"] = b"z"
    rows = ""
    for name, blob in parts.items():
        made = base64.urlsafe_b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()
        rows += f"{name},sha256={made},{len(blob)}\n"
    parts = change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, blob in parts.items():
            archive.writestr(name, blob)
        archive.writestr(f"{info}/RECORD", rows if record is None else record)
    return path


def test_a_wheel_as_it_should_be_passes(tmp_path, check):
    assert check.faults(wheel(tmp_path / "a.whl", check)) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: p | {"tests/test_a.py": b""}, "tests"),
        (lambda p: p | {"napari_ae_denoise/secret.key": b""}, "secret.key"),
        (lambda p: p | {"napari_ae_denoise/../x.py": b""}, "outside"),
        (lambda p: p | {"napari_ae_denoise/cli.py": b"changed"}, "RECORD"),
        (lambda p: {k: v for k, v in p.items() if "yaml" not in k}, "napari.yaml is missing"),
        (lambda p: {k: v for k, v in p.items() if "models" not in k}, "models"),
        (lambda p: {k: v for k, v in p.items() if "LICENSE" not in k}, "licence"),
    ],
)
def test_a_wheel_with_a_fault_is_named(tmp_path, check, change, word):
    assert any(word in fault for fault in check.faults(wheel(tmp_path / "a.whl", check, change)))

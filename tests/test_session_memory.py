import json
import os
import sys
from dataclasses import replace

import pytest

from napari_ae_denoise.session_memory import SessionMemory, UsedModel


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder" / "panels.json"


def test_forms_and_models_come_back_in_another_session(path):
    first = SessionMemory(path)
    first.keep_form("Train", {"steps": 5, "kind": "clean", "rate": 0.5, "clip": False})
    first.keep_form("Denoise", {"latent": True})
    first.keep_model(UsedModel("/a", "old"))
    first.keep_model(UsedModel("/b", "new", "clean images", "2026-01-02"))
    second = SessionMemory(path)
    assert second.form("Train") == {"steps": 5, "kind": "clean", "rate": 0.5, "clip": False}
    assert second.form("Denoise") == {"latent": True}
    assert second.form("Compare") == {}
    assert [model.name for model in second.models()] == ["new", "old"]


def test_a_model_is_there_once_and_the_oldest_go(path):
    memory = SessionMemory(path)
    for number in range(20):
        memory.keep_model(UsedModel(f"/{number}", "x"))
    memory.keep_model(UsedModel("/15", "x again"))
    paths = [model.path for model in memory.models()]
    assert paths[:3] == ["/15", "/19", "/18"]
    assert len(paths) == len(set(paths)) == 8


def test_what_is_said_of_a_model(untrained):
    card = untrained("plain").card
    assert str(UsedModel.of_card("/a", "mine", card)) == "mine"
    told = UsedModel("/a", "mine", "noisy images only", "2026-03-04")
    assert str(told) == "mine (trained on noisy images only, 2026-03-04)"
    twice = UsedModel.of_card("/a", "mine", replace(card, data_kind="two noisy"))
    assert str(twice) == "mine (trained on pairs of noisy images)"  # as the Train panel calls them
    other = UsedModel.of_card("/a", "mine", replace(card, data_kind="simulations"))
    assert str(other) == "mine (trained on simulations)"


def test_what_json_or_a_field_cannot_hold_is_left_out(path):
    memory = SessionMemory(path)
    memory.keep_form("a", {"nan": float("nan"), "list": [1], "long": "x" * 10_000, "good": 1})
    assert memory.form("a") == {"good": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"forms": [], "models": {}}',
        '{"forms": {"a": 3}, "models": [1, {}, {"path": 2}, {"path": "/a"}, {"file": "/a"}]}',
        '{"forms": {"a": {"x": [1], "y": NaN}}, "models": [{"path": "", "name": "x"}]}',
        "[" * 100_000,
        "\N{BYTE ORDER MARK}{}",
    ],
)
def test_a_damaged_file_is_as_an_empty_one_and_is_replaced(path, text):
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    memory = SessionMemory(path)
    assert memory.form("a") == {}
    assert memory.models() == []
    memory.keep_form("a", {"x": 1})
    memory.keep_model(UsedModel("/a", "x"))
    assert memory.form("a") == {"x": 1}
    assert len(memory.models()) == 1


def test_bytes_that_are_no_text_and_a_file_too_large(path):
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00")
    assert SessionMemory(path).form("a") == {}
    path.write_text(json.dumps({"forms": {"a": {"x": 1}}, "rest": "x" * 2**21}))
    assert SessionMemory(path).form("a") == {}


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_no_error(path):
    path.parent.mkdir(mode=0o500)
    SessionMemory(path).keep_form("a", {"x": 1})
    assert SessionMemory(path).form("a") == {}


def test_a_place_that_is_a_file_is_no_error(path):
    path.parent.write_text("in the way")
    SessionMemory(path).keep_model(UsedModel("/a", "x"))
    assert SessionMemory(path).models() == []

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from napari_ae_denoise import devices
from napari_ae_denoise.devices import (
    available_devices,
    choose_device,
    choose_precision,
    computing_in,
    cpu_count,
    free_memory,
    is_out_of_memory,
    memory_errors,
    spare_a_core,
    training_precision,
    using_threads,
)
from napari_ae_denoise.errors import DenoisingError

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda:1", "mps"))


@pytest.fixture
def two_gpus(monkeypatch):
    """Pretend that there are two NVIDIA cards; the second has lost its connection."""

    def memory(number=0):
        if number not in (0, torch.device("cuda:0")):
            raise RuntimeError("CUDA error: device-side assert triggered")
        return 3 * 1024**3, 8 * 1024**3

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"Card {number}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", memory)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def apple(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.fixture
def cpu_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_cpu_is_always_there_with_its_cores_and_memory(cpu_only):
    (only,) = available_devices()
    assert only.name == "cpu"
    assert str(cpu_count()) in only.description
    assert only.free_bytes > 0
    assert "GiB free" in str(only)


def test_devices_are_listed_fastest_first(two_gpus):
    found = available_devices()
    assert [d.name for d in found] == ["cuda:0", "cuda:1", "cpu"]
    assert str(found[0]) == "cuda:0 (Card 0, 3.0 GiB free)"
    assert found[1].free_bytes is None
    assert str(found[1]) == "cuda:1 (Card 1)"


def test_a_gpu_without_a_working_driver_does_not_keep_the_cpu_from_work(two_gpus, monkeypatch):
    def lost(number):
        raise RuntimeError("CUDA driver version is insufficient")

    monkeypatch.setattr(torch.cuda, "get_device_name", lost)
    assert choose_device("cpu") == CPU
    assert available_devices()[-1].name == "cpu"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
def test_devices_are_chosen_by_name(two_gpus, name, expected):
    assert choose_device(name) == torch.device(expected)


def test_apple_gpu_is_chosen_where_there_is_one(apple):
    assert choose_device("auto") == torch.device("mps")
    assert choose_precision(MPS) == torch.float32
    assert available_devices()[0].free_bytes > 0
    assert free_memory(MPS) > 0


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "mps", "gpu", "", "cpu:3"])
def test_devices_that_are_not_there_are_refused(cpu_only, refused, name):
    with refused(f'"{name}"', remedy="cpu"):
        choose_device(name)


def test_a_missing_cuda_build_is_said(cpu_only, refused, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    with refused("cuda:0", remedy="pytorch.org"):
        choose_device("cuda:0")


def test_gpu_beyond_the_last_is_refused_with_those_there_are(two_gpus, refused):
    with refused("cuda:2", remedy="cuda:1"):
        choose_device("cuda:2")


@pytest.mark.parametrize("pays", [True, False])
def test_precision_on_the_cpu_is_chosen_by_what_pays(monkeypatch, pays):
    monkeypatch.setattr(devices, "_bfloat16_pays", lambda: pays)
    assert choose_precision(CPU) == (torch.bfloat16 if pays else torch.float32)
    assert choose_precision(CPU, "float32") == torch.float32
    assert choose_precision(CPU, "bfloat16") == torch.bfloat16


def test_what_pays_is_measured_once():
    assert devices._bfloat16_pays() in (True, False)
    hits = devices._bfloat16_pays.cache_info().hits
    devices._bfloat16_pays()
    assert devices._bfloat16_pays.cache_info().hits == hits + 1


def test_precision_on_cuda_is_half_but_never_in_training(monkeypatch):
    assert choose_precision(CUDA) == torch.float16
    # torch itself says that those before Ampere can, too: they emulate it, slower than float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    for capability, expected in [((8, 0), torch.bfloat16), ((7, 5), torch.float32)]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert training_precision(CUDA) == expected
        assert training_precision(CUDA, "float16") == expected
    assert training_precision(CUDA, "float32") == torch.float32


def test_precisions_that_cannot_be_are_refused(refused):
    with refused("float64", remedy="float32"):
        choose_precision(CPU, "float64")
    with refused("float16", "CPU", remedy="bfloat16"):
        choose_precision(CPU, "float16")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_convolutions_compute_in_the_precision_asked_for(dtype):
    conv = torch.nn.Conv2d(1, 1, 3)
    with computing_in(dtype, CPU), torch.inference_mode():
        assert conv(torch.zeros(1, 1, 8, 8)).dtype == dtype
    with torch.inference_mode():
        assert conv(torch.zeros(1, 1, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize(
    ("asked", "cores", "expected"),
    [("", 4, 3), ("", 1, 1), ("3", 2, 3), ("zero", 2, 1), ("0", 2, 1), ("-1", 3, 2)],
)
def test_a_core_is_spared_unless_the_user_says_how_many(monkeypatch, asked, cores, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(devices, "cpu_count", lambda: cores)
    before = torch.get_num_threads()

    def work():
        with spare_a_core():
            assert torch.get_num_threads() == expected
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert torch.get_num_threads() == before


def test_threads_are_spared_in_a_worker_thread_too():
    seen = []

    def work():
        with spare_a_core():
            seen.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:116] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 9000 bytes."
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9000 bytes."),
    ],
)
def test_memory_errors_are_known_by_their_words(error):
    assert is_out_of_memory(error)
    with pytest.raises(DenoisingError) as caught, memory_errors("Cause.", "Remedy."):
        raise error
    assert (caught.value.cause, caught.value.remedy) == ("Cause.", "Remedy.")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory")],
)
def test_other_errors_are_not_taken_for_memory_errors(error):
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)), memory_errors("Cause.", "Remedy."):
        raise error


def test_free_memory_is_asked_of_the_device(two_gpus):
    assert free_memory(torch.device("cuda:0")) == 3 * 1024**3
    assert free_memory(CPU) > 1024**2


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    assert cpu_count() == 2
    monkeypatch.delattr(devices.os, "sched_getaffinity")
    monkeypatch.setattr(devices.os, "cpu_count", lambda: None)
    assert cpu_count() == 1


def test_threads_of_others_compute_with_as_many_as_before():
    def in_a_new_thread():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    inside, left = threading.Barrier(2), threading.Event()

    def first():
        with using_threads(1):
            inside.wait(5)
        left.set()

    def second():
        with using_threads(2):
            inside.wait(5)
            left.wait(5)

    usual = in_a_new_thread()
    with using_threads(3):  # so that they differ from what is usual here
        before = torch.get_num_threads()
        with ThreadPoolExecutor(2) as pool:
            for one in [pool.submit(first), pool.submit(second)]:
                one.result()
        assert torch.get_num_threads() == before == 3  # of this thread
    assert in_a_new_thread() == usual


def test_work_goes_on_where_the_system_gives_no_more_threads(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = torch.get_num_threads()
    with using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before

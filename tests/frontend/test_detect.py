"""Files are told apart by content; what is no source is refused with what it is and the way out."""

import collections
import io
import os
import pickle
import struct
import zipfile

import pytest

from mlx_transpile.errors import BadRequest
from mlx_transpile.frontend.detect import detect

torch = pytest.importorskip("torch")


class Payload:
    """Unpickling this would make a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def model():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())


def saved(value, **options):
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def torchscript():
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(model(), torch.ones(1, 2)), stream)
    return stream.getvalue()


def exported():
    stream = io.BytesIO()
    torch.export.save(torch.export.export(model(), (torch.ones(1, 2),)), stream)
    return stream.getvalue()


def zipped(**entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def safetensors():
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return struct.pack("<Q", len(header)) + header + bytes(4)


def onnx_bytes():
    graph = b"\x12\x04main"
    return (
        b"\x08\x0a"
        + b"\x12\x07pytorch"
        + b"\x3a"
        + bytes([len(graph)])
        + graph
        + b"\x42\x02\x10\x14"
    )


def state_dict():
    return collections.OrderedDict(model().state_dict())


GOOD = [(torchscript, "torchscript"), (exported, "export"), (onnx_bytes, "onnx")]
BAD = [
    (lambda: b"", "is empty"),
    (lambda: b"GGUF\x03\x00\x00\x00", "GGUF"),
    (lambda: b"tjgg\x03\x00\x00\x00", "GGML"),
    (safetensors, "safetensors"),
    (lambda: saved(state_dict()), "bare state dict"),
    (lambda: saved({"model": state_dict(), "step": 3}), "bare state dict"),
    (lambda: saved(state_dict(), _use_new_zipfile_serialization=False), "bare state dict"),
    (lambda: saved(model()), r"pickled module \(torch.nn.modules.container.Sequential\)"),
    (lambda: saved(model(), _use_new_zipfile_serialization=False), "pickled module"),
    (lambda: pickle.dumps([1, 2]), "pickle without a model"),
    (lambda: torchscript()[:-200], "damaged zip"),
    (lambda: exported()[:600], "damaged zip"),
    (lambda: zipped(), "empty zip"),
    (lambda: zipped(readme="hello"), "zip archive without a model"),
    (lambda: zipped(**{"m/archive_format": "pt2"}), "without an exported program"),
    (lambda: onnx_bytes()[:-2], "cut short"),
    (lambda: b"<!DOCTYPE html><html>", "HTML"),
    (lambda: b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    (lambda: bytes(range(200, 256)) * 9, "no format that is known"),
    (lambda: b"import torch\n", "no format that is known"),
]  # fmt: skip


@pytest.mark.parametrize("content, kind", GOOD)
@pytest.mark.parametrize("name", ["model.pt", "model.onnx", "model"])
def test_the_content_decides(tmp_path, content, kind, name):
    path = tmp_path / name
    path.write_bytes(content())
    assert detect(path) == kind


@pytest.mark.parametrize("content, message", BAD)
def test_what_is_no_source_is_refused(tmp_path, content, message):
    path = tmp_path / "model.pt"
    path.write_bytes(content())
    with pytest.raises(BadRequest, match=message) as error:
        detect(path)
    assert error.value.hint


def test_weights_name_the_way_out(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(saved(state_dict()))
    with pytest.raises(BadRequest, match=r"package\.module:factory --weights weights\.pt"):
        detect(path)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_no_pickled_code_runs(tmp_path, protocol):
    marker = tmp_path / "ran"
    for name, content in {
        "plain.pkl": pickle.dumps(Payload(marker), protocol=protocol),
        "zip.pt": saved({"a": Payload(marker)}, pickle_protocol=max(protocol, 2)),
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BadRequest):
            detect(path)
    assert not marker.exists()


def test_directories_and_missing_files(tmp_path):
    with pytest.raises(BadRequest, match="there is no file"):
        detect(tmp_path / "nowhere.pt")
    with pytest.raises(BadRequest, match="is a directory"):
        detect(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(safetensors())
    with pytest.raises(BadRequest, match="checkpoint folder"):
        detect(tmp_path)

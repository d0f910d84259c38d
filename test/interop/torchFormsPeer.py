"""PyTorch's side of torchForms.test.ts: writes checkpoints of both forms, with other objects beside the weights.

Prints one JSON object.

save FOLDER             file names to what is in them, for those that are to be read
hostile FOLDER CANARY   writes files that would make the file CANARY; whether it is there
"""
import argparse
import collections
import datetime
import enum
import functools
import json
import os
import pathlib
import pickle
import sys
import types
from collections import OrderedDict

import numpy
import torch

from torchPeer import described, made_tensors


class Colour(enum.Enum):
    RED = 1


class Flags(enum.Flag):
    A = 1
    B = 2


class Config(dict):
    pass


class Meter:
    def __init__(self):
        self.values = [1.0, numpy.float32(2)]


class Outer:
    class Inner:
        pass

    def method(self):
        pass


class Masked(torch.Tensor):
    pass


Point = collections.namedtuple("Point", "x y")


def warmup(step):
    return step / 10


def trained():
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    layer(torch.ones(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    scheduler.step()
    return layer, optimizer, scheduler


def objects():
    layer, optimizer, scheduler = trained()
    return {
        "best": numpy.float64(0.5),
        "scores": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
        "strings": numpy.array(["a", None], dtype=object),
        "args": argparse.Namespace(lr=0.1, path=pathlib.Path("runs"), device=torch.device("cpu")),
        "optimizer": optimizer.state_dict(),
        "whole_optimizer": optimizer,
        "scheduler": scheduler.state_dict(),
        "whole_scheduler": scheduler,
        "colour": Colour.RED,
        "flags": Flags.A | Flags.B,
        "path": pathlib.PurePosixPath("a") / "b",
        "config": Config(lr=numpy.int64(3)),
        "meter": Meter(),
        "inner": Outer.Inner(),
        "method": Outer().method,
        "point": Point(1, 2),
        "warmup": functools.partial(warmup, 3),
        "function": warmup,
        "counts": collections.Counter("abca"),
        "queue": collections.deque([1, 2], maxlen=3),
        "groups": collections.defaultdict(list, a=[1]),
        "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        "set": {1, "a", frozenset([2])},
        "slice": slice(1, 2),
        "complex": 1 + 2j,
        "range": range(3),
        "simple": types.SimpleNamespace(a=1),
        "none": type(None),
        "error": ValueError("x"),
        "random": numpy.random.get_state(),
        "generator": numpy.random.default_rng(1),
        "torch_random": torch.get_rng_state(),
        "size": torch.Size([1, 2]),
        "dtype": torch.bfloat16,
        "layout": torch.strided,
        "large": 2**100,
        "keys": {0.5: 1, (1, 2): 2, Colour.RED: 3},
        "spectrum": torch.ones(3, dtype=torch.complex64),
        "bytes": b"\xff\x00",
        "storage": torch.ones(2).untyped_storage(),
    }


def state():
    tensors = made_tensors()
    attributed = torch.ones(2)
    attributed.note = "x"
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.note = "y"
    return OrderedDict(tensors, attributed=attributed, parameter_note=parameter)


def save(folder):
    expected = {}
    tensors = state()

    def write(name, content, weights, **options):
        torch.save(content, f"{folder}/{name}", **options)
        expected[name] = described(weights)

    for form, zipped in (("zip", True), ("legacy", False)):
        new = {"_use_new_zipfile_serialization": zipped}
        write(f"{form}-plain.pth", tensors, tensors, **new)
        # Legacy files of protocol 0 can't be written: its persistent ids are text.
        for protocol in (1, 2, 3, 4, 5):
            options = dict(new, pickle_protocol=protocol)
            write(f"{form}-p{protocol}.pth", {"epoch": 3, "state_dict": tensors}, tensors, **options)
            content = dict(objects(), state_dict=tensors)
            write(f"{form}-beside{protocol}.pth", content, tensors, **options)
        write(f"{form}-config.pth", Config(tensors), tensors, **new)
        layer = trained()[0]
        write(f"{form}-state.pth", layer.state_dict(), layer.state_dict(), **new)
        # Bytes that the pickle names before the tensors on them.
        shared = torch.arange(8.0)
        content = [("state_dict", {"w": shared[2:6], "v": shared.view(2, 4).t()})]
        first = dict(content) if zipped else dict(content, after=shared.storage())
        write(f"{form}-shared.pth", first, content[0][1], **new)
        for name, content in refused(layer).items():
            torch.save(content, f"{folder}/{form}-{name}.pth", **new)
    return expected


def refused(layer):
    """File name to what can't be read."""
    plain = torch.ones(2, 2)
    quantised = torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8)
    return {
        "refused-module": layer,
        "refused-nested": {"model": layer, "epoch": 1},
        "refused-quantised": {"w": quantised},
        "refused-sparse": {"w": plain.to_sparse()},
        "refused-subclass": {"w": plain.as_subclass(Masked)},
        "refused-complex": {"w": torch.ones(2, dtype=torch.complex64)},
        "refused-float8": {"w": torch.ones(2).to(torch.float8_e4m3fn)},
        "refused-negated": {"w": torch.ones(2, dtype=torch.complex64).conj().imag},
    }


class Hostile:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"echo pwned > {self.canary}",)


def hostile(folder, canary):
    """PyTorch itself refuses them with weights_only, where its reader is the one to compare with."""
    taken = []
    for form, zipped in (("zip", True), ("legacy", False)):
        for place, content in (
            ("alone", Hostile(canary)),
            ("beside", {"state_dict": {"w": torch.ones(2)}, "x": [Hostile(canary)]}),
            ("inside", OrderedDict(w=torch.ones(2), x=Hostile(canary))),
        ):
            file = f"{folder}/hostile-{form}-{place}.pth"
            torch.save(content, file, _use_new_zipfile_serialization=zipped)
            try:
                torch.load(file, weights_only=True)
                taken.append(file)
            except pickle.UnpicklingError:
                pass
    return {"taken": taken, "canary": os.path.exists(canary)}


if __name__ == "__main__":
    mode, *paths = sys.argv[1:]
    json.dump({"save": save, "hostile": hostile}[mode](*paths), sys.stdout)

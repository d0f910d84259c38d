"""PyTorch's side of torchExport.test.ts: prints one JSON object, names to [dtype, shape, sha256].

load FILE ENTRIES  what a module of these entries holds after load_state_dict(strict=True)
save FOLDER        writes made checkpoints; what each one's tensors are, by file
read FILE          what the tensors of somebody's state dict are
"""
import hashlib
import json
import sys
from collections import OrderedDict

import torch


def described(tensors):
    """Logical contents in C order."""
    result = {}
    for name, tensor in tensors.items():
        flat = tensor.detach().contiguous().reshape(-1)
        data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        digest = hashlib.sha256(data).hexdigest()
        result[name] = [str(tensor.dtype), list(tensor.shape), digest]
    return result


def module_of(entries):
    """Nested modules with these parameters and buffers, as the official network has them."""
    root = torch.nn.Module()
    for name, shape, dtype, kind in entries:
        *path, last = name.split(".")
        at = root
        for part in path:
            if part not in at._modules:
                at.add_module(part, torch.nn.Module())
            at = at._modules[part]
        empty = torch.zeros(shape, dtype=getattr(torch, dtype))
        if kind == "param":
            at.register_parameter(last, torch.nn.Parameter(empty))
        else:
            at.register_buffer(last, empty)
    return root


def load(path, entries_path):
    state = torch.load(path, weights_only=True)
    assert type(state) is OrderedDict, type(state)
    with open(entries_path) as file:
        module = module_of(json.load(file))
    module.load_state_dict(state, strict=True)
    loaded = module.state_dict()
    assert all(state[name].dtype == tensor.dtype for name, tensor in loaded.items())
    return described(loaded)


def made_tensors():
    generator = torch.Generator().manual_seed(5)
    base = torch.randn(4, 6, 3, 5, generator=generator)
    shared = torch.randn(40, generator=generator)
    return OrderedDict(
        f32=base.clone(),
        f64=base.double(),
        f16=base.half(),
        bf16=base.bfloat16(),
        i64=torch.tensor([-(2**62), 0, 2**62]),
        count=torch.tensor(2**40),
        i32=torch.tensor([-7, 7], dtype=torch.int32),
        i16=torch.tensor([-7, 7], dtype=torch.int16),
        i8=torch.tensor([-7, 7], dtype=torch.int8),
        u8=torch.tensor([0, 255], dtype=torch.uint8),
        flags=torch.tensor([True, False, True]),
        channels_last=base.clone(memory_format=torch.channels_last),
        transposed=base.clone().transpose(0, 3),
        half_sliced=base.half()[1:, ::2, :, 1],
        expanded=torch.randn(1, 7, generator=generator).expand(5, 7),
        shared_whole=shared,
        shared_part=shared[8:32].view(4, 6).t(),
        parameter=torch.nn.Parameter(base[0]),
        empty=torch.zeros(0, 3),
    )


def save(folder):
    tensors = made_tensors()
    tensors_and_more = {"epoch": 3, "state_dict": tensors, "lr": 0.5, "note": "é", "seen": (1, [None, True])}
    prefixed = OrderedDict(("module." + name, tensor) for name, tensor in tensors.items())
    files = {"plain.pth": (tensors, {}), "wrapped.pth": (tensors_and_more, {}), "module.pth": (prefixed, {})}
    for protocol in (3, 4, 5):
        files[f"protocol{protocol}.pth"] = (tensors_and_more, {"pickle_protocol": protocol})
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    layer(torch.ones(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    files["trainer.pth"] = ({"model": layer.state_dict(), "optimizer": optimizer.state_dict()}, {})
    expected = {}
    for name, (content, options) in files.items():
        torch.save(content, f"{folder}/{name}", **options)
        expected[name] = described(prefixed if name == "module.pth" else tensors)
    expected["trainer.pth"] = described(layer.state_dict())
    return expected


def read(path):
    return described(torch.load(path, weights_only=True))


if __name__ == "__main__":
    mode, *paths = sys.argv[1:]
    json.dump({"load": load, "save": save, "read": read}[mode](*paths), sys.stdout)

"""The block of graph convolution in PyTorch, in double precision, in training mode: plan.json -> .f64 files.

Written from the formula in docs/losses.md; the weights have the official code's names and layout.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

with open(sys.argv[1], encoding="utf8") as file:
    plan = json.load(file)


def read(name):
    values = np.fromfile(f"{plan['folder']}/{name}.f32", dtype=np.float32)
    return torch.from_numpy(values.astype(np.float64)).reshape(plan["shapes"][name])


def unit(weights, name, x):
    """Convolution, batch norm over the batch, ReLU."""
    y = F.conv2d(x, weights[f"{name}.0.weight"])
    mean = y.mean((0, 2, 3), keepdim=True)
    variance = ((y - mean) ** 2).mean((0, 2, 3), keepdim=True)
    y = (y - mean) / torch.sqrt(variance + 1e-5)
    scale = weights[f"{name}.1.weight"][None, :, None, None]
    return F.relu(y * scale + weights[f"{name}.1.bias"][None, :, None, None])


weights = {name: read(name).requires_grad_() for name in plan["weights"]}
x = read("x").permute(0, 3, 1, 2).contiguous().requires_grad_()
nodes = [F.conv2d(x, weights[f"node_{part}.weight"]).flatten(2) for part in "qkv"]
query, key, value = nodes
edges = torch.softmax(query.transpose(1, 2) @ key * query.shape[1] ** -0.5, dim=-1)
attended = (edges @ value.transpose(1, 2)).transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])
out = unit(weights, "out_conv", torch.cat([x, unit(weights, "conv1", attended)], dim=1))
(out * read("dy").permute(0, 3, 1, 2)).sum().backward()

results = {"out": out.permute(0, 2, 3, 1), "dx": x.grad.permute(0, 2, 3, 1)}
results.update({name: weight.grad for name, weight in weights.items()})
for name, tensor in results.items():
    tensor.detach().contiguous().numpy().tofile(f"{plan['folder']}/{name}.f64")
print(json.dumps({"results": sorted(results)}))

"""PyTorch's side of discriminator.test.ts: SKD's discriminator trained by torch.optim.Adam, float64.

Arguments: the plan as JSON, a folder. The plan has the classes, the kind of loss, the weight, rate, betas
and epsilon, and per step the shares of the penalty; the folder has start.f32 files by the names of the
state and STEP-student.f32 and STEP-teacher.f32, [N, C, H, W]. Writes STEP-gradient.f32 and, after the last
step, end-NAME.f32 for every entry of the state; prints the losses per step as {"student", "own"}.
Layers: bench/support/compared_losses.py.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.append(str(Path(__file__).parents[2] / "bench" / "support"))

from compared_losses import Discriminator


def read(path, shape):
    values = numpy.fromfile(path, dtype="<f4").reshape(shape)
    return torch.from_numpy(values).double()


def entries(network):
    """Parameters, running statistics and vectors u, by the names of the run's files."""
    for name, parameter in network.named_parameters():
        yield name.replace("weight_orig", "weight"), parameter.data
    for name, buffer in network.named_buffers():
        if name.endswith(("weight_u", "running_mean", "running_var")):
            yield name, buffer


def own_loss(network, plan, student, teacher, shares):
    fake, real = network(student), network(teacher)
    if plan["kind"] == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    share = torch.tensor(shares, dtype=torch.float64)[:, None, None, None]
    mixed = (share * teacher + (1 - share) * student).requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        (slope,) = torch.autograd.grad(network(mixed).sum(), mixed, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).pow(2).mean()
    return fake.mean() - real.mean() + plan["penalty"] * penalty


def main():
    plan, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    network = Discriminator(plan["classes"], 64).double()
    for name, tensor in entries(network):
        tensor.copy_(read(folder / f"start-{name}.f32", tensor.shape))
    optimizer = torch.optim.Adam(
        network.parameters(), plan["rate"], plan["betas"], eps=plan["epsilon"]
    )
    losses = []
    for step, shares in enumerate(plan["shares"]):
        student, teacher = (
            read(folder / f"{step}-{side}.f32", plan["shape"]) for side in ("student", "teacher")
        )
        student.requires_grad_()
        loss = -network(student).mean()
        (gradient,) = torch.autograd.grad(loss, student)
        gradient.numpy().astype("<f4").tofile(folder / f"{step}-gradient.f32")
        own = own_loss(network, plan, student.detach(), teacher, shares)
        optimizer.zero_grad()
        (plan["weight"] * own).backward()
        optimizer.step()
        losses.append({"student": loss.item(), "own": own.item()})
    for name, tensor in entries(network):
        tensor.numpy().astype("<f4").tofile(folder / f"end-{name}.f32")
    json.dump({"losses": losses}, sys.stdout)


main()

"""PyTorch's side of comparedLosses.test.ts: the losses of the methods compared with, by autograd.

One argument, the plan as JSON; prints {case: {result: shape}} and writes each result as float32 to
FOLDER/CASE/RESULT.f32. Inputs follow from the plan: recipe values (bench/support/recipe.py), which are
computed with in float64. Layouts are PyTorch's. Formulas: bench/support/compared_losses.py.
"""

import json
import os
import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.append(str(Path(__file__).parents[2] / "bench" / "support"))

from compared_losses import LOSSES, Discriminator, dsd_psd
from recipe import recipe_values

SALT = "interop/losses"


def tensor_of(case, name, spec):
    """[N, C, H, W] or another shape; float64."""
    values = recipe_values(SALT, f"{case}/{name}", spec["shape"], spec["low"], spec["high"])
    if spec.get("quantised"):
        values = numpy.floor(values.astype(numpy.float64) * 3) / 3
        values = values.astype(numpy.float32)
    tensor = torch.from_numpy(values).double()
    if spec.get("zeroAt") is not None:
        tensor[:, :, spec["zeroAt"], 0] = 0
    if spec.get("zeroChannel"):
        tensor[:, 0] = 0
    return tensor


def official(name):
    return name.replace("weight_orig", "weight")


def holistic(case, inputs, params):
    """The student's loss, then the discriminator's: three forward passes, as in the official trainer."""
    network = Discriminator(params["classes"], params["width"]).double()
    for name, parameter in network.named_parameters():
        parameter.data.copy_(inputs[official(name)])
    for at in range(4):
        conv = getattr(network, f"l{at + 1}")[0]
        conv.weight_u.copy_(F.normalize(inputs[f"u{at}"], dim=0))
    student = inputs["student"].requires_grad_()
    loss = -network(student).mean()
    (gradient,) = torch.autograd.grad(loss, student)
    fake, real = network(student.detach()), network(inputs["teacher"])
    if "penalty" in params:
        own = fake.mean() - real.mean()
        own = own + params["penalty"] * gradient_penalty(network, student.detach(), inputs)
    else:
        own = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    own.backward()
    results = {"loss": loss, "grad/student": gradient, "loss/discriminator": own}
    for name, parameter in network.named_parameters():
        # Those that move no score's slope have none from the penalty.
        grad = parameter.grad
        results[f"grad/{official(name)}"] = torch.zeros_like(parameter) if grad is None else grad
    norm = network.preprocess_additional
    results.update(running_mean=norm.running_mean, running_var=norm.running_var)
    for at in range(4):
        results[f"u{at}"] = getattr(network, f"l{at + 1}")[0].weight_u
    return results


def gradient_penalty(network, student, inputs):
    """WGAN-GP's, by a second derivative, which the fused attention kernels don't have."""
    share = inputs["shares"][:, None, None, None]
    mixed = (share * inputs["teacher"] + (1 - share) * student).requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        scores = network(mixed)
        (slope,) = torch.autograd.grad(scores.sum(), mixed, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).pow(2).mean()


def results_of(case):
    name, op, params = case["name"], case["op"], case["params"]
    inputs = {key: tensor_of(name, key, spec) for key, spec in case["inputs"].items()}
    if op == "holistic":
        return holistic(name, inputs, params)
    if op == "dsd_psd":
        levels = range(params["levels"])
        students = [inputs[f"student/{level}"].requires_grad_() for level in levels]
        loss = dsd_psd(students, [inputs[f"teacher/{level}"] for level in levels], params)
        loss.backward()
        gradients = {f"grad/student/{level}": students[level].grad for level in levels}
        return {"loss": loss, **gradients}
    more = [inputs[key] for key in ("weight", "labels", "queue") if key in inputs]
    if op == "ifvd":
        more = [more[0].floor() - 1]
    if "weight" in inputs:
        inputs["weight"].requires_grad_()
    student = inputs["student"].requires_grad_()
    loss = LOSSES[op](student, inputs["teacher"], params, *more)
    loss.backward()
    results = {"loss": loss, "grad/student": student.grad}
    if "weight" in inputs:
        results["grad/weight"] = inputs["weight"].grad
    return results


def main():
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    shapes = {}
    for case in plan["cases"]:
        folder = os.path.join(plan["folder"], case["name"])
        os.makedirs(folder)
        shapes[case["name"]] = {}
        for key, tensor in results_of(case).items():
            shapes[case["name"]][key] = list(tensor.shape)
            data = tensor.detach().contiguous().numpy().astype(numpy.float32)
            data.tofile(os.path.join(folder, key.replace("/", "-") + ".f32"))
    json.dump(shapes, sys.stdout)


main()

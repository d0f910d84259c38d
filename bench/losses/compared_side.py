"""The compared losses in PyTorch, as measured: the peer of comparedSide.ts.

The student's rows come as a leaf in [N, C, H, W], which is what the official code computes with.
"""

import numpy
import torch

from compared_losses import LOSSES, Discriminator, channel, dsd_psd
from recipe import recipe_values

SALT = "bench/losses"
CLASSES = 19
BANK_CHANNELS = 2048
PARAMS = {"temperature": 4, "classes": CLASSES}


def is_compared(point):
    return point["loss"] not in ("minibatch", "memory")


def rows_of(point):
    return point["images"] * point["height"] * point["width"]


def values(name, rows, channels):
    return recipe_values(SALT, name, (rows, channels), -1, 1)


def unit_values(name, rows, channels):
    data = values(name, rows, channels)
    data /= numpy.linalg.norm(data, axis=1, keepdims=True)
    return data


def as_map(point, rows):
    shape = (point["images"], point["height"], point["width"], -1)
    return torch.from_numpy(rows).reshape(shape).permute(0, 3, 1, 2).contiguous()


def compared_inputs(point):
    rows, channels = rows_of(point), point["channels"]
    label_values = values("labels", rows, 1).astype(numpy.float64)
    labels = numpy.floor((label_values + 1) / 2 * (CLASSES - 0.01)).astype(numpy.float32)
    inputs = {
        "student": as_map(point, values("student", rows, channels["student"])).requires_grad_(),
        "teacher": as_map(point, unit_values("teacher", rows, channels["teacher"])),
        "labels": as_map(point, labels)[:, 0],
    }
    weight = torch.from_numpy(values("weight", channels["student"], channels["teacher"]))
    inputs["weight"] = weight.T.contiguous()[:, :, None, None].requires_grad_()
    if point["loss"] == "skd_holistic":
        inputs["discriminator"] = discriminator()
    if point["loss"] == "channel":
        positions = point["height"] * point["width"] // 16
        inputs["queue"] = torch.from_numpy(unit_values("bank/channel", BANK_CHANNELS, positions))
    return inputs


def discriminator():
    network = Discriminator(CLASSES, 64)
    for name, parameter in network.named_parameters():
        official = name.replace("weight_orig", "weight")
        uniform = torch.from_numpy(values(f"discriminator/{official}", 1, parameter.numel()))
        uniform *= (3 * len(parameter) / parameter.numel()) ** 0.5
        if parameter.dim() == 1:
            parameter.data.copy_(uniform[0])
        else:  # the other side's layout
            outputs, inputs, height, width = parameter.shape
            tensor = uniform.reshape(height, width, inputs, outputs).permute(3, 2, 0, 1)
            parameter.data.copy_(tensor)
    reset(network)
    return network


def reset(network):
    """Each repetition starts from the same vectors."""
    for at in range(4):
        vector = getattr(network, f"l{at + 1}")[0].weight_u
        vector.fill_(len(vector) ** -0.5)


def loss_of(point, inputs):
    loss, student, teacher = point["loss"], inputs["student"], inputs["teacher"]
    if loss in ("fitnet", "cwd"):
        return LOSSES[loss](student, teacher, PARAMS, inputs["weight"])
    if loss == "cwd_logits":
        return LOSSES["cwd"](student, teacher, PARAMS)
    if loss == "ifvd":
        return LOSSES["ifvd"](student, teacher, PARAMS, inputs["labels"])
    if loss == "dsd_psd":
        return dsd_psd([student, teacher], [teacher, inputs["labels"][:, None]], PARAMS)
    if loss == "channel":
        pooled = torch.nn.functional.avg_pool2d(student, 4, ceil_mode=True)
        params = {"temperature": 0.1, "kdTemperature": 1}
        return channel(pooled, teacher, params, inputs["queue"])
    return LOSSES[loss](student, teacher, PARAMS)


def compute_compared(point, inputs):
    """Loss and the student's gradient, in the other side's order."""
    student = inputs["student"]
    student.grad = None
    inputs["weight"].grad = None
    if point["loss"] == "skd_holistic":
        return holistic(inputs["discriminator"], student, inputs["teacher"])
    loss = loss_of(point, inputs)
    loss.backward()
    return loss.item()


def holistic(network, student, teacher):
    reset(network)
    own = -network(student).mean()
    (student.grad,) = torch.autograd.grad(own, student)
    fake, real = network(student.detach()), network(teacher)
    loss = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
    network.zero_grad()
    loss.backward()
    return own.item() + loss.item()


def gradient_of(inputs):
    return inputs["student"].grad.permute(0, 2, 3, 1).flatten()

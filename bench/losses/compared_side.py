"""The compared losses in PyTorch, as measured: the peer of comparedSide.ts.

The student's rows come as a leaf in [N, C, H, W], which is what the official code computes with.
"""

import numpy
import torch
import torch.nn.functional as F

from compared_losses import LOSSES, Discriminator, at, channel_rows, cwd, dsd_psd
from compared_losses import memory_channel, minibatch_channel
from recipe import recipe_values

SALT = "bench/losses"
CLASSES = 19
BANK_CHANNELS = 2048
OUTPUT_STRIDE = 8
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
    inputs = {
        "student": as_map(point, values("student", rows, channels["student"])).requires_grad_(),
        "teacher": as_map(point, unit_values("teacher", rows, channels["teacher"])),
        "labels": labels_of(point),
    }
    weight = torch.from_numpy(values("weight", channels["student"], channels["teacher"]))
    inputs["weight"] = weight.T.contiguous()[:, :, None, None].requires_grad_()
    if point["loss"] == "skd_holistic":
        inputs["discriminator"] = discriminator()
    if point["loss"] == "memory_channel":
        positions = -(-point["height"] // 4) * -(-point["width"] // 4)
        inputs["queue"] = torch.from_numpy(unit_values("bank/channel", BANK_CHANNELS, positions))
    return inputs


def labels_of(point):
    """At the maps' size; those of the task at full resolution."""
    scale = OUTPUT_STRIDE if point["loss"] == "task" else 1
    shape = (point["images"], scale * point["height"], scale * point["width"])
    label_values = values("labels", numpy.prod(shape), 1).astype(numpy.float64)
    labels = numpy.floor((label_values + 1) / 2 * (CLASSES - 0.01)).astype(numpy.float32)
    return torch.from_numpy(labels).reshape(shape)


def task(logits, labels):
    whole = F.interpolate(logits, size=labels.shape[1:], mode="bilinear", align_corners=True)
    return F.cross_entropy(whole, labels, ignore_index=255)


def logits_kd(student, teacher):
    kl = F.kl_div(F.log_softmax(student, 1), F.softmax(teacher, 1), reduction="none")
    return kl.sum(1).mean()


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
    if loss == "task":
        return task(student, inputs["labels"].long())
    if loss == "logits_kd":
        return logits_kd(student, teacher)
    if loss == "attention_transfer":
        return at(student, teacher, PARAMS)
    if loss == "fitnet":
        return LOSSES[loss](student, teacher, PARAMS, inputs["weight"])
    if loss in ("cwd_feature", "cwd_logits"):
        weights = (inputs["weight"],) if loss == "cwd_feature" else ()
        return cwd(student, teacher, PARAMS, *weights)
    if loss == "ifvd":
        return LOSSES["ifvd"](student, teacher, PARAMS, inputs["labels"])
    if loss == "dsd_psd":
        return dsd_psd([student, teacher], [teacher, inputs["labels"][:, None]], PARAMS)
    if loss in ("minibatch_channel", "memory_channel", "channel_mse"):
        return channel_term(loss, *channel_rows(F.avg_pool2d(student, 4, ceil_mode=True), teacher), inputs)
    return LOSSES[loss](student, teacher, PARAMS)


def channel_term(loss, rows, other, inputs):
    if loss == "channel_mse":
        return F.mse_loss(rows, other)
    params = {"temperature": 0.1, "kdTemperature": 1}
    if loss == "minibatch_channel":
        return minibatch_channel(rows, other, params)
    return memory_channel(rows, other, params, inputs["queue"])


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

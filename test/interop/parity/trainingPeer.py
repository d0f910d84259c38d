"""PyTorch's side of training.test.ts: the official trainer's step on labels, written from its formulas.

Argument: a JSON file {"students": {name: plan}, "runs": [{student, variant, bits, steps, way, gradients}]}. Each run
trains for `steps` steps. To `way` it writes float32 records, before the first step and after each one: every entry of
the state dict in order, then every parameter's velocity. To `gradients`, if that isn't null, those of the first step.
A run with 64 bits computes in double precision, but rounds its state to float32 after every step, so that a record is
all that the next step begins with. Prints the losses and rates of every run.

A variant is a mistake, by name; "none" is what the official code does.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from networks import build

IGNORED = -1


class GivenDropout(nn.Module):
    """nn.Dropout with a given mask in place of a drawn one."""

    def __init__(self, dropout):
        super().__init__()
        self.keep = 1 - dropout.p
        self.mask = None

    def forward(self, x):
        return x * (self.mask.to(x.dtype) / self.keep)


class TapwiseDepthwise(nn.Module):
    """A depthwise 3x3 convolution as the sum of nine products: PyTorch's own in float64 takes a channel at a time."""

    def __init__(self, convolution):
        super().__init__()
        self.weight = convolution.weight
        self.stride, self.dilation = convolution.stride[0], convolution.dilation[0]

    def forward(self, x):
        d, s = self.dilation, self.stride
        height, width = ((side - 1) // s + 1 for side in x.shape[2:])
        padded = F.pad(x, (d, d, d, d))
        total = 0
        for row in range(3):
            for column in range(3):
                rows = padded[:, :, row * d : row * d + (height - 1) * s + 1 : s]
                part = rows[:, :, :, column * d : column * d + (width - 1) * s + 1 : s]
                total = total + part * self.weight[:, 0, row, column, None, None]
        return total


class Run:
    def __init__(self, plan, variant, bits):
        self.plan, self.variant, self.rounded = plan, variant, bits == 64
        self.dtype = {32: torch.float32, 64: torch.float64}[bits]
        network = build(plan["model"], plan["backbone"], "v1", plan["classes"], width=plan["width"])
        network.load_state_dict(torch.load(plan["files"] + ".pth", weights_only=True), strict=True)
        self.network = network.to(self.dtype).train()
        if bits == 64:
            self.replace(lambda child: getattr(child, "groups", 1) > 1, TapwiseDepthwise)
        self.dropouts = self.replace(lambda child: isinstance(child, nn.Dropout), GivenDropout)
        if variant == "dropout 0.4 in ASPP":
            self.dropouts[0].keep = 0.6
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.01 if variant == "batch-norm momentum 0.01" else module.momentum
                module.eps = 1e-3 if variant == "batch-norm epsilon 0.001" else module.eps
        self.optimizer = self.sgd()

    def replace(self, is_replaced, make):
        made = []
        for parent in list(self.network.modules()):
            for name, child in list(parent.named_children()):
                if is_replaced(child):
                    made.append(make(child))
                    setattr(parent, name, made[-1])
        return made

    def sgd(self):
        plan, variant = self.plan, self.variant
        options = {
            "lr": plan["base_lr"],
            "momentum": 0.8 if variant == "momentum 0.8" else plan["momentum"],
            "weight_decay": 0 if variant == "no weight decay" else plan["weight_decay"],
            "nesterov": variant == "nesterov",
            "dampening": 0.9 if variant == "dampening 0.9" else 0,
        }
        named = list(self.network.named_parameters())
        if variant == "heads at ten times the rate":
            special = {name for name, _ in named if not name.startswith("pretrained.")}
        elif variant == "no decay of vectors":
            special = {name for name, p in named if p.dim() == 1}
        else:
            return torch.optim.SGD([p for _, p in named], **options)
        own = {"weight_decay": 0} if variant == "no decay of vectors" else {}
        groups = [
            {"params": [p for name, p in named if name not in special]},
            {"params": [p for name, p in named if name in special], **own},
        ]
        return torch.optim.SGD(groups, **options)

    def rate(self, step):
        plan = self.plan
        if self.variant == "constant rate":
            return plan["base_lr"]
        return plan["base_lr"] * (1 - step / plan["steps"]) ** plan["poly_power"]

    def task_loss(self, logits, labels):
        aligned = self.variant != "half-pixel centres"
        full = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=aligned)
        loss = nn.CrossEntropyLoss(ignore_index=IGNORED)(full, labels)
        if self.variant == "mean over all pixels":
            loss = loss * (labels != IGNORED).sum() / labels.numel()
        return loss

    def step(self, index, inputs):
        bgr, labels, masks = inputs
        image = torch.from_numpy(bgr).to(self.dtype)
        if self.variant == "RGB":
            image = image.flip(1)
        for dropout, mask in zip(self.dropouts, masks, strict=True):
            dropout.mask = mask
        logits, aux, _ = self.network(image)
        loss = self.task_loss(logits, labels)
        if aux is not None:
            weight = 1 if self.variant == "auxiliary weight 1" else self.plan["aux_weight"]
            loss = loss + weight * self.task_loss(aux, labels)
        rate = self.rate(index)
        factors = (1, 10 if self.variant == "heads at ten times the rate" else 1)
        for factor, group in zip(factors, self.optimizer.param_groups):
            group["lr"] = rate * factor
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.rounded:
            self.round()
        return loss.item(), rate

    def velocities(self):
        state = self.optimizer.state
        return [state[p].get("momentum_buffer", torch.zeros_like(p)) for p in self.network.parameters()]

    @torch.no_grad()
    def round(self):
        floats = [value for value in self.network.state_dict().values() if value.is_floating_point()]
        for value in [*floats, *self.velocities()]:
            value.copy_(value.float())

    def record(self):
        return flat([*self.network.state_dict().values(), *self.velocities()])

    def gradients(self):
        return flat([p.grad for p in self.network.parameters()])


def flat(tensors):
    return np.concatenate([tensor.detach().float().flatten().numpy() for tensor in tensors])


class Inputs:
    def __init__(self, plan):
        steps, batch, crop, size = plan["steps"], plan["batch"], plan["crop"], plan["map"]
        rgb = np.fromfile(plan["files"] + ".rgb", dtype=np.uint8)
        self.rgb = rgb.reshape(steps, batch, crop, crop, 3)
        labels = np.fromfile(plan["files"] + ".labels", dtype=np.uint8).astype(np.int64)
        labels[labels == 255] = IGNORED
        self.labels = torch.from_numpy(labels.reshape(steps, batch, crop, crop))
        masks = np.fromfile(plan["files"] + ".masks", dtype=np.uint8).reshape(steps, -1)
        shapes = [(batch, size, size, channels) for channels in plan["dropped"]]
        cuts = np.cumsum([np.prod(shape) for shape in shapes])
        assert cuts[-1] == masks.shape[1], (cuts, masks.shape)
        self.masks = [
            [torch.from_numpy(part.reshape(shape)).permute(0, 3, 1, 2) for part, shape in zip(parts, shapes)]
            for parts in (np.split(row, cuts[:-1]) for row in masks)
        ]
        self.mean = np.array(plan["mean_bgr"])

    def of(self, step):
        bgr = self.rgb[step][..., ::-1].astype(np.float64) - self.mean
        return np.ascontiguousarray(bgr.transpose(0, 3, 1, 2)), self.labels[step], self.masks[step]


def main():
    # Threads that wait for one another are no faster on a busy machine.
    torch.set_num_threads(1)
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    inputs = {name: Inputs(student) for name, student in plan["students"].items()}
    answers = []
    for wanted in plan["runs"]:
        student = wanted["student"]
        run = Run(plan["students"][student], wanted["variant"], wanted["bits"])
        records, losses, rates = [run.record()], [], []
        for step in range(wanted["steps"]):
            loss, rate = run.step(step, inputs[student].of(step))
            losses.append(loss)
            rates.append(rate)
            records.append(run.record())
            if step == 0 and wanted["gradients"] is not None:
                run.gradients().tofile(wanted["gradients"])
        np.concatenate(records).tofile(wanted["way"])
        entries = [[name, list(value.shape)] for name, value in run.network.state_dict().items()]
        answers.append({"losses": losses, "rates": rates, "entries": entries})
    json.dump({"runs": answers}, sys.stdout)


main()

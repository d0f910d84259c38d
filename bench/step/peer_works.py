"""A case's work on PyTorch's side, as a user of PyTorch has it: modules, autograd, optim.SGD."""

import time
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from memory_banks import IGNORED, MemoryBanks
from networks import build
from peer_inputs import (
    PIXEL_MEAN,
    made_bank,
    made_image,
    made_labels,
    made_rgb,
    made_seed,
    made_teacher,
)
from similarity_kl import minibatch_pixel, rows_kl

SAMPLES = 64


def open_network(task):
    workload = task["case"]["workload"]
    names = (workload[key] for key in ("model", "backbone", "variant", "classes"))
    network = build(*names, width=workload["widthMultiplier"])
    load(network, task, "network")
    return network.to(memory_format=torch.channels_last)


def load(module, task, name):
    state = torch.load(f"{task['folder']}/{name}.pth", weights_only=True)
    module.load_state_dict(state, strict=True)


def sampled(tensor):
    """Of [N, C, h, w] or [h, w], in TensorFlow's order of channels last."""
    flat = (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).detach().flatten()
    # Odd: even steps would see the same few channels again and again.
    step = max(1, flat.numel() // SAMPLES - 1) | 1
    return flat[: step * SAMPLES : step].tolist()


def norms(tensors):
    return [tensor.double().norm().item() for tensor in tensors]


def milliseconds(begin):
    return 1000 * (time.perf_counter() - begin)


class without_dropout:
    def __init__(self, module):
        self.layers = [layer for layer in module.modules() if isinstance(layer, nn.Dropout)]

    def __enter__(self):
        self.rates = [layer.p for layer in self.layers]
        for layer in self.layers:
            layer.p = 0

    def __exit__(self, *_):
        for layer, rate in zip(self.layers, self.rates):
            layer.p = rate


class TeacherStep:
    """From uint8 to logits, unit rows and their norms, without the auxiliary head."""

    def __init__(self, task):
        self.network = open_network(task).eval()
        self.network.auxlayer = None
        self.images = made_rgb(task["case"]["workload"])
        self.mean = torch.tensor(PIXEL_MEAN)

    @torch.inference_mode()
    def forward(self):
        bgr = torch.stack(self.images).flip(3).float() - self.mean
        logits, _, feature = self.network(bgr.permute(0, 3, 1, 2))
        norm = feature.norm(dim=1, keepdim=True)
        return logits, feature / norm.clamp_min(1e-12), norm

    def check(self):
        outputs = zip(("logits", "embedding", "feature_norm"), self.forward())
        return {
            name: [value for image in batch.split(1) for value in sampled(image)]
            for name, batch in outputs
        }

    def step(self):
        begin = time.perf_counter()
        self.forward()
        return {"forward": milliseconds(begin)}


def sgd(modules, train):
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.SGD(
        parameters,
        lr=train["learningRate"],
        momentum=train["momentum"],
        weight_decay=train["weightDecay"],
    )


class NetworkStep:
    def __init__(self, task):
        workload = task["case"]["workload"]
        self.network = open_network(task).train()
        self.optimizer = sgd([self.network], task["train"])
        self.image = made_image(workload)
        classes = workload["classes"]
        channels = self.network.feature_channels
        sizes = {"logits": classes, "aux": classes, "feature": channels}
        if self.network.auxlayer is None:
            del sizes["aux"]
        self.seeds = {name: made_seed(name, workload, count) for name, count in sizes.items()}

    def check(self):
        with without_dropout(self.network):
            outputs, _ = self.run()
        parameters = list(self.network.parameters())
        return {
            **{name: sampled(output) for name, output in outputs.items()},
            "gradient norms": norms(parameter.grad for parameter in parameters),
            "weight norms after the update": norms(parameter.detach() for parameter in parameters),
        }

    def step(self):
        return self.run()[1]

    def run(self):
        begin = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        results = dict(zip(("logits", "aux", "feature"), self.network(self.image)))
        outputs = {name: results[name] for name in self.seeds}
        torch.autograd.backward(list(outputs.values()), list(self.seeds.values()))
        between = time.perf_counter()
        ms = 1000 * (between - begin)
        self.optimizer.step()
        return outputs, {"pass": ms, "update": milliseconds(between)}


class WholeStep:
    def __init__(self, task):
        workload = task["case"]["workload"]
        self.loss, self.memory = task["loss"], task["memory"]
        self.network = open_network(task).train()
        self.head = self.open_head(task).train()
        self.optimizer = sgd([self.network, self.head], task["train"])
        self.image, self.labels = made_image(workload), made_labels(workload)
        self.teacher_logits, self.teacher_feature = made_teacher(workload)
        rows = workload["bankRows"]
        banks = (made_bank(name, workload, rows[name]) for name in ("pixel", "region"))
        self.banks = MemoryBanks(*banks, self.memory["pixelUpdateFreq"])
        classes = workload["classes"]
        # As the official trainers count.
        self.contrast_rows = {
            "pixel": self.memory["pixelContrastSize"] // classes + 1,
            "region": self.memory["regionContrastSize"] // classes + 1,
        }

    def open_head(self, task):
        channels = self.network.feature_channels
        teacher_channels = task["case"]["workload"]["teacherChannels"]
        head = nn.Sequential(
            nn.Conv2d(channels, teacher_channels, 1, bias=False),
            nn.BatchNorm2d(teacher_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(teacher_channels, teacher_channels, 1, bias=False),
        )
        load(nn.ModuleDict(OrderedDict(project_head=head)), task, "head")
        return head.to(memory_format=torch.channels_last)

    def task_ce(self, logits):
        size = self.labels.shape[1:]
        upsampled = F.interpolate(logits, size, mode="bilinear", align_corners=True)
        return F.cross_entropy(upsampled, self.labels, ignore_index=IGNORED)

    def logits_kd(self, logits):
        temperature, classes = self.loss["kdTemperature"], logits.shape[1]
        rows = [
            (each / temperature).permute(0, 2, 3, 1).reshape(-1, classes)
            for each in (logits, self.teacher_logits)
        ]
        log_q, p = F.log_softmax(rows[0], dim=1), F.softmax(rows[1], dim=1)
        return temperature**2 * F.kl_div(log_q, p, reduction="batchmean")

    def minibatch_pixel(self, feature):
        unit = [
            F.normalize(each, dim=1).flatten(2).transpose(1, 2).contiguous()
            for each in (feature, self.teacher_feature)
        ]
        return minibatch_pixel(*unit, self.loss["contrastTemperature"])

    def memory_terms(self, feature, choose):
        teacher = F.normalize(self.teacher_feature, dim=1)
        student = F.normalize(self.head(feature), dim=1)
        labels = F.interpolate(self.labels[:, None].float(), teacher.shape[2:], mode="nearest")
        labels = labels[:, 0].long()
        self.banks.enqueue(teacher, labels, choose)
        labelled = (labels != IGNORED).flatten()
        rows = [
            each.permute(0, 2, 3, 1).reshape(-1, each.shape[1])[labelled]
            for each in (student, teacher)
        ]
        # contrastKdTemperature is 1, as in the paper.
        return {
            f"memory_{bank}": rows_kl(
                rows[0], keys, rows[1], keys, self.loss["contrastTemperature"]
            )
            for bank, wanted in self.contrast_rows.items()
            for keys in [self.banks.sample(bank, wanted, choose)]
        }

    def terms(self, choose):
        logits, aux, feature = self.network(self.image)
        task = self.task_ce(logits)
        if aux is not None:
            task = task + self.loss["auxWeight"] * self.task_ce(aux)
        return {
            "task": task,
            "logits_kd": self.logits_kd(logits),
            "minibatch_pixel": self.minibatch_pixel(feature),
            **self.memory_terms(feature, choose),
        }

    def run(self, choose):
        self.optimizer.zero_grad(set_to_none=True)
        terms = self.terms(choose)
        total = sum(self.loss["weights"][name] * term for name, term in terms.items())
        total.backward()
        self.optimizer.step()
        return {name: term.item() for name, term in {**terms, "total": total}.items()}

    def check(self):
        with without_dropout(self.network):
            losses = self.run(lambda _, take: torch.arange(take))
        parameters = [*self.network.parameters(), *self.head.parameters()]
        return {
            **{f"loss {name}": [loss] for name, loss in losses.items()},
            "gradient norms": norms(parameter.grad for parameter in parameters),
        }

    def step(self):
        begin = time.perf_counter()
        self.run(lambda n, take: torch.randperm(n)[:take])
        return {"step": milliseconds(begin)}


WORKS = {"teacher": TeacherStep, "network": NetworkStep, "whole": WholeStep}

"""PyTorch's side of initialWeights.test.ts: new networks as the official code draws them, by its rules.

Backbones: MobileNetV2's convolutions normal with deviation sqrt(2 / (k * k * outputs)), ResNets' kaiming_normal_ with
fan_out. Heads, auxiliary heads and projection heads: whatever torch.nn draws. Argument: a JSON list of networks. Prints
for each entry of each state dict [deviation, mean, largest absolute value, number of values].
"""
import json
import math
import sys

import torch
from torch import nn

from networks import build


def draw_backbone(backbone, is_mobile):
    for module in backbone.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        if is_mobile:
            height, width = module.kernel_size
            module.weight.data.normal_(0, math.sqrt(2 / (height * width * module.out_channels)))
        else:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def figures(tensor):
    values = tensor.detach().double().flatten()
    deviation = values.std(unbiased=False).item()
    return [deviation, values.mean().item(), values.abs().max().item(), values.numel()]


def main():
    torch.manual_seed(7)
    with open(sys.argv[1]) as file:
        wanted = json.load(file)
    answer = {}
    for one in wanted:
        network = build(one["model"], one["backbone"], "v1", one["classes"])
        draw_backbone(network.pretrained, one["backbone"] == "mobilenetv2")
        answer[one["name"]] = {name: figures(value) for name, value in network.state_dict().items()}
    channels = [128, 256]
    head = nn.Sequential(
        nn.Conv2d(channels[0], channels[1], 1, bias=False),
        nn.BatchNorm2d(channels[1]),
        nn.ReLU(),
        nn.Conv2d(channels[1], channels[1], 1, bias=False),
    )
    answer["projection"] = {f"project_head.{name}": figures(value) for name, value in head.state_dict().items()}
    json.dump(answer, sys.stdout)


main()

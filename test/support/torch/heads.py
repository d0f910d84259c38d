"""Heads: from the backbone's map to logits and feature. Names as in CIRKD's networks.

Sources: Chen et al., "Rethinking atrous convolution" (2017); Zhao et al., "Pyramid scene parsing
network" (CVPR 2017).
"""
import torch
from torch import nn
from torch.nn import functional
from layers import conv_norm_relu


def spread(x, size):
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)


class AtrousBranch(nn.Module):
    def __init__(self, inputs, outputs, dilation):
        super().__init__()
        self.block = nn.Sequential(*conv_norm_relu(inputs, outputs, 3, dilation=dilation))

    def forward(self, x):
        return self.block(x)


class ImagePooling(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm_relu(inputs, outputs, 1))

    def forward(self, x):
        return spread(self.gap(x), x.shape[2:])


class Aspp(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.b0 = nn.Sequential(*conv_norm_relu(inputs, outputs, 1))
        self.b1 = AtrousBranch(inputs, outputs, 12)
        self.b2 = AtrousBranch(inputs, outputs, 24)
        self.b3 = AtrousBranch(inputs, outputs, 36)
        self.b4 = ImagePooling(inputs, outputs)
        self.project = nn.Sequential(*conv_norm_relu(5 * outputs, outputs, 1), nn.Dropout(0.5))

    def forward(self, x):
        branches = (self.b0, self.b1, self.b2, self.b3, self.b4)
        return self.project(torch.cat([branch(x) for branch in branches], dim=1))


class DeeplabHead(nn.Module):
    def __init__(self, inputs, channels, classes):
        super().__init__()
        self.aspp = Aspp(inputs, channels)
        self.block = nn.Sequential(
            *conv_norm_relu(channels, channels, 3), nn.Dropout(0.1), nn.Conv2d(channels, classes, 1)
        )

    def forward(self, x):
        feature = self.block[:4](self.aspp(x))
        return self.block[4](feature), feature


class PyramidPooling(nn.Module):
    def __init__(self, inputs, level_channels):
        super().__init__()
        self.sizes = (1, 2, 3, 6)
        for number in range(1, 5):
            level = nn.Sequential(*conv_norm_relu(inputs, level_channels, 1))
            self.add_module(f"conv{number}", level)

    def forward(self, x):
        levels = [
            spread(self.get_submodule(f"conv{number}")(functional.adaptive_avg_pool2d(x, size)), x.shape[2:])
            for number, size in enumerate(self.sizes, start=1)
        ]
        return torch.cat([x, *levels], dim=1)


class PspHead(nn.Module):
    def __init__(self, inputs, level_channels, channels, classes):
        super().__init__()
        self.psp = PyramidPooling(inputs, level_channels)
        joined = inputs + 4 * level_channels
        self.block = nn.Sequential(*conv_norm_relu(joined, channels, 3), nn.Dropout(0.1))
        self.classifier = nn.Conv2d(channels, classes, 1)

    def forward(self, x):
        feature = self.block(self.psp(x))
        return self.classifier(feature), feature


class AuxHead(nn.Module):
    def __init__(self, inputs, channels, classes):
        super().__init__()
        self.block = nn.Sequential(
            *conv_norm_relu(inputs, channels, 3), nn.Dropout(0.1), nn.Conv2d(channels, classes, 1)
        )

    def forward(self, x):
        return self.block(x)

"""Convolution, batch norm and activation, as all parts of the networks use them."""
from torch import nn


def conv(inputs, outputs, kernel, stride=1, dilation=1, groups=1):
    """Without a bias; padded so that stride 1 keeps the size."""
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding, dilation=dilation, groups=groups, bias=False
    )


def conv_norm(inputs, outputs, kernel, **options):
    """Modules 0 and 1 of a sequence."""
    return [conv(inputs, outputs, kernel, **options), nn.BatchNorm2d(outputs)]


def conv_norm_relu(inputs, outputs, kernel, **options):
    """Modules 0, 1 and 2 of a sequence."""
    return [*conv_norm(inputs, outputs, kernel, **options), nn.ReLU(inplace=True)]

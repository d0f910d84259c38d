"""MobileNetV2 without its last 1x1 convolution, dilated to stride 8.

Source: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (CVPR 2018).
"""
from torch import nn
from layers import conv_norm

# Expansion, output channels, blocks, stride and dilation of the first one, dilation of the others.
GROUPS = (
    (1, 16, 1, 1, 1, 1),
    (6, 24, 2, 2, 1, 1),
    (6, 32, 3, 2, 1, 1),
    (6, 64, 4, 1, 1, 2),
    (6, 96, 3, 1, 2, 2),
    (6, 160, 3, 1, 2, 4),
    (6, 320, 1, 1, 4, 4),
)


def relu6():
    return nn.ReLU6(inplace=True)


class InvertedResidual(nn.Module):
    """Adds its input in every block but the first of a group, even where the shapes would fit."""

    def __init__(self, inputs, outputs, expansion, stride, dilation, residual, nested):
        super().__init__()
        hidden = inputs * expansion
        expand = [] if expansion == 1 else [*conv_norm(inputs, hidden, 1), relu6()]
        depthwise = [
            *conv_norm(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden),
            relu6(),
        ]
        if nested:
            units = [nn.Sequential(*unit) for unit in (expand, depthwise) if unit]
        else:
            units = [*expand, *depthwise]
        self.conv = nn.Sequential(*units, *conv_norm(hidden, outputs, 1))
        self.residual = residual

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """forward: [N, 3, H, W] to None, as there is no auxiliary head, and the map at stride 8.

    `nested`: the same network with the names of torchvision's files, where a convolution with its
    norm and activation is a module of its own.
    """

    def __init__(self, scale, nested=False):
        super().__init__()
        inputs = scale(32)
        features = [nn.Sequential(*conv_norm(3, inputs, 3, stride=2), relu6())]
        for expansion, channels, blocks, stride, first_dilation, dilation in GROUPS:
            for index in range(blocks):
                first = index == 0
                features.append(
                    InvertedResidual(
                        inputs,
                        scale(channels),
                        expansion,
                        stride if first else 1,
                        first_dilation if first else dilation,
                        residual=not first,
                        nested=nested,
                    )
                )
                inputs = scale(channels)
        self.net = nn.Module()
        self.net.features = nn.Sequential(*features)
        self.aux_channels, self.channels = None, inputs

    def forward(self, x):
        return None, self.net.features(x)

"""ResNet dilated to stride 8, names as torchvision's.

Source: He et al., "Deep residual learning for image recognition" (CVPR 2016). Stems: "plain" is the
paper's 7x7 convolution, "deep" the three 3x3 convolutions of CIRKD's networks.
"""
from torch import nn
from layers import conv, conv_norm

# Blocks of each layer; whether they are bottlenecks.
RESNETS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
}

# Planes, stride and dilation of the layer's first block, dilation of everything behind.
LAYERS = ((64, 1, 1, 1), (128, 2, 1, 1), (256, 1, 1, 2), (512, 1, 2, 4))


def projection(inputs, outputs, stride):
    return nn.Sequential(*conv_norm(inputs, outputs, 1, stride=stride))


class Block(nn.Module):
    """What both kinds of blocks share: path plus shortcut, then ReLU."""

    def forward(self, x):
        y = self.path(x)
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class BasicBlock(Block):
    def __init__(self, inputs, planes, outputs, stride, dilations, project):
        super().__init__()
        first, second = dilations
        self.conv1 = conv(inputs, planes, 3, stride=stride, dilation=first)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, outputs, 3, dilation=second)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(inputs, outputs, stride) if project else None

    def path(self, x):
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


class Bottleneck(Block):
    def __init__(self, inputs, planes, outputs, stride, dilations, project):
        super().__init__()
        self.conv1 = conv(inputs, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3, stride=stride, dilation=dilations[0])
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = conv(planes, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(inputs, outputs, stride) if project else None

    def path(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn3(self.conv3(self.relu(self.bn2(self.conv2(x)))))


class ResNet(nn.Module):
    """forward: [N, 3, H, W] to the maps of the third and the fourth layer, both at stride 8."""

    def __init__(self, name, stem, scale):
        super().__init__()
        counts, bottleneck = RESNETS[name]
        kind, expansion = (Bottleneck, 4) if bottleneck else (BasicBlock, 1)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stem = {"deep": 3, "plain": 1}[stem]
        inputs = self.add_stem(scale)
        for number, (planes, stride, first_dilation, dilation) in enumerate(LAYERS, start=1):
            outputs = scale(planes * expansion)
            # Only here do shape and stride stay: 64 channels of the plain stem into basic blocks.
            keeps_shape = number == 1 and stem == "plain" and not bottleneck
            blocks = []
            for index in range(counts[number - 1]):
                first = index == 0
                blocks.append(
                    kind(
                        inputs,
                        scale(planes),
                        outputs,
                        stride if first else 1,
                        (first_dilation if first else dilation, dilation),
                        first and not keeps_shape,
                    )
                )
                inputs = outputs
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.aux_channels, self.channels = scale(256 * expansion), inputs

    def add_stem(self, scale):
        """Returns its output channels."""
        if self.stem == 1:
            sizes = [(3, scale(64), 7, 2)]
        else:
            sizes = [(3, scale(64), 3, 2), (scale(64), scale(64), 3, 1), (scale(64), scale(128), 3, 1)]
        for number, (inputs, outputs, kernel, stride) in enumerate(sizes, start=1):
            self.add_module(f"conv{number}", conv(inputs, outputs, kernel, stride=stride))
            self.add_module(f"bn{number}", nn.BatchNorm2d(outputs))
        return sizes[-1][1]

    def forward(self, x):
        for number in range(1, self.stem + 1):
            x = self.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        third = self.layer3(self.layer2(self.layer1(self.maxpool(x))))
        return third, self.layer4(third)

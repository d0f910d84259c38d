"""The networks of src/models/zoo.ts in PyTorch: what tests compare with and benches measure.

Written from the papers and this project's own code; needs nothing but torch. State-dict names and
their order are the zoo's. For speed move module and image to `torch.channels_last`.

    network = build("deeplabv3", "resnet101", "v2", num_classes=19)
    logits, aux, feature = network(image)
"""
from torch import nn
from channels import channel_scale
from heads import AuxHead, DeeplabHead, PspHead
from mobilenet_v2 import MobileNetV2
from resnet import RESNETS, ResNet
from segformer import SegFormer

HEADS = {
    "deeplabv3": ("deeplab", "resnet"),
    "psp": ("psp", "resnet"),
    "deeplab_mobile": ("deeplab", "mobilenetv2"),
    "psp_mobile": ("psp", "mobilenetv2"),
}

# Channels of the feature by head and backbone: v1, v2.
FEATURES = {
    ("deeplab", "resnet18"): (128, 512),
    ("deeplab", "resnet34"): (128, 512),
    ("deeplab", "resnet50"): (256, 512),
    ("deeplab", "resnet101"): (256, 512),
    ("deeplab", "mobilenetv2"): (128, 128),
    ("psp", "resnet18"): (128, 128),
    ("psp", "resnet34"): (128, 128),
    ("psp", "resnet50"): (512, 256),
    ("psp", "resnet101"): (512, 256),
    ("psp", "mobilenetv2"): (128, 128),
}


class Network(nn.Module):
    """forward: image [N, 3, H, W] to logits [N, classes, h, w], auxiliary logits of that shape (None
    with MobileNetV2) and the classifier's input [N, channels, h, w]; h = ceil(H / 8)."""

    def __init__(self, backbone, head, auxlayer):
        super().__init__()
        self.pretrained = backbone
        self.head = head
        self.auxlayer = auxlayer
        self.feature_channels = head.block[0].out_channels

    def forward(self, x):
        third, last = self.pretrained(x)
        aux = None if self.auxlayer is None else self.auxlayer(third)
        logits, feature = self.head(last)
        return logits, aux, feature


def build(model, backbone, variant, num_classes, stem="deep", width=1.0):
    """The network of this name. `stem` is "deep" or "plain", for ResNets; `width` scales all channel
    counts, but a SegFormer's. Raises KeyError on a name that isn't known, ValueError on a pair that isn't."""
    if model == "segformer":
        return SegFormer(backbone, num_classes)
    head_name, kind = HEADS[model]
    if (kind == "mobilenetv2") != (backbone == "mobilenetv2"):
        raise ValueError(f"{model} on {backbone}: no such network")
    scale = channel_scale(width)
    trunk = MobileNetV2(scale) if kind == "mobilenetv2" else ResNet(backbone, stem, scale)
    official = 320 if kind == "mobilenetv2" else 512 * (4 if RESNETS[backbone][1] else 1)
    channels = scale(FEATURES[head_name, backbone][{"v1": 0, "v2": 1}[variant]])
    if head_name == "deeplab":
        head = DeeplabHead(trunk.channels, channels, num_classes)
    else:
        head = PspHead(trunk.channels, scale(official / 4), channels, num_classes)
    aux = None
    if trunk.aux_channels is not None:
        aux = AuxHead(trunk.aux_channels, scale(official / 8), num_classes)
    return Network(trunk, head, aux)

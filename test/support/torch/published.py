"""Segmentation networks as torchvision and mmsegmentation themselves make them, without weights.

    network = published.build("mmseg_psp", "resnet18_v1c", num_classes=19)
    logits, aux, feature = published.outputs(network, image)

mmsegmentation's are those of its own configs (…-d8, 512x1024), with BN for SyncBN, which needs a GPU.
"""
import os
import sys
import types
import warnings

import torch
import torchvision

warnings.filterwarnings("ignore")


class NoOperators(types.ModuleType):
    """mmcv-lite has no compiled operators, and importing mmsegmentation looks for some by name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_, **__):
            raise NotImplementedError(f"mmcv's operator {name}")

        return missing


sys.modules["mmcv._ext"] = NoOperators("mmcv._ext")

import mmseg  # noqa: E402
import mmseg.models  # noqa: E402, F401  fills the registry
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402

init_default_scope("mmseg")

CONFIGS = os.path.join(os.path.dirname(mmseg.__file__), ".mim", "configs")
MMSEG_CONFIGS = {"mmseg_deeplabv3": "deeplabv3/deeplabv3", "mmseg_psp": "pspnet/pspnet"}


def mmseg_config(model, backbone, align_corners=False):
    """The configs for crops of 769 x 769 are those with align_corners=True."""
    if model == "mmseg_segformer":
        size = backbone.removeprefix("mit_")
        return Config.fromfile(os.path.join(CONFIGS, f"segformer/segformer_mit-{size}_8xb1-160k_cityscapes-1024x1024.py"))
    depth = backbone.removeprefix("resnet").removesuffix("_v1c")
    size = "769x769" if align_corners else "512x1024"
    name = f"{MMSEG_CONFIGS[model]}_r{depth}-d8_4xb2-80k_cityscapes-{size}.py"
    return Config.fromfile(os.path.join(CONFIGS, name))


def meta(model, backbone, num_classes, align_corners):
    """What mmengine's runner saves beside the weights, as far as it is plain data."""
    classes = tuple(f"thing {index}" for index in range(num_classes))
    config = mmseg_config(model, backbone, align_corners)
    return {"epoch": 7, "iter": 80000, "cfg": config.pretty_text, "dataset_meta": {"classes": classes}}


def with_plain_norms(value):
    if isinstance(value, dict):
        if value.get("type") == "SyncBN":
            value["type"] = "BN"
        for inner in value.values():
            with_plain_norms(inner)


def build_mmseg(model, backbone, num_classes, aux, align_corners):
    config = mmseg_config(model, backbone, align_corners).model
    with_plain_norms(config)
    config.pretrained = None
    config.backbone.pop("init_cfg", None)
    config.decode_head.num_classes = num_classes
    if aux:
        config.auxiliary_head.num_classes = num_classes
    else:
        config.pop("auxiliary_head", None)
    return MODELS.build(config)


def build(model, backbone, num_classes, aux=True, align_corners=False):
    """`model` and `backbone` as src/models/zoo.ts names them."""
    if model.startswith("mmseg_"):
        return build_mmseg(model, backbone, num_classes, aux, align_corners)
    name = f"{model.removeprefix('torchvision_')}_{backbone.removesuffix('_plain')}"
    make = getattr(torchvision.models.segmentation, name)
    return make(weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=aux)


def is_mmseg(network):
    return hasattr(network, "decode_head")


def outputs(network, image):
    """Logits, auxiliary logits or None, and the last convolution's input, all before they are resized."""
    if is_mmseg(network):
        maps = network.extract_feat(image)
        head = network.decode_head
        feature = head._forward_feature(maps)
        aux = network.auxiliary_head(maps) if network.with_auxiliary_head else None
        return head.cls_seg(feature), aux, feature
    maps = network.backbone(image)
    *layers, last = network.classifier
    feature = maps["out"]
    for layer in layers:
        feature = layer(feature)
    aux = None if network.aux_classifier is None else network.aux_classifier(maps["aux"])
    return last(feature), aux, feature


def segmented(network, image):
    """What the network itself answers: logits at the image's size."""
    if is_mmseg(network):
        return network.encode_decode(image, [{"img_shape": tuple(image.shape[2:])}] * len(image))
    return network(image)["out"]


def pixels(model, backbone):
    """Mean and deviation that published weights were trained with, 0..255, and whether in R G B order."""
    if model in MMSEG_CONFIGS:
        preprocessor = mmseg_config(model, backbone).model.data_preprocessor
        return {"mean": preprocessor.mean, "std": preprocessor.std, "rgb": preprocessor.bgr_to_rgb}
    weights = getattr(torchvision.models.segmentation, {
        "torchvision_deeplabv3": "DeepLabV3_ResNet50_Weights",
        "torchvision_fcn": "FCN_ResNet50_Weights",
    }[model])
    transform = weights.DEFAULT.transforms()
    # It takes RGB, scaled to 0..1.
    return {"mean": [255 * m for m in transform.mean], "std": [255 * s for s in transform.std], "rgb": True}

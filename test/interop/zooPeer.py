"""PyTorch's side of zoo.test.ts and publishedZoo.test.ts: one process for all networks. Prints one JSON object.

zooPeer.py PLAN, a JSON file with
  keys     networks: their state-dict entries at full width
  loaded   networks with a .pth file and an image: strict load, outputs written beside the file;
           with "train", also the state and the gradients of one step in training mode
  saved    networks to make and to save, with their outputs for an image
  published  the same for torchvision's and mmsegmentation's own networks: several images, also logits at
           their size; with "train" as above
Networks with "package" are of torchvision or mmsegmentation, the others those of support/torch.
Maps are written channels last, as float32; weights in PyTorch's layout.
"""
import json
import sys

import torch
from torch import nn

from channels import channel_scale
from mobilenet_v2 import MobileNetV2
from networks import Network, build

AUX_WEIGHT = 0.4


def network_of(spec):
    if spec.get("package"):
        import published

        names = ("model", "backbone", "num_classes", "aux", "align_corners")
        return published.build(**{name: spec[name] for name in names})
    names = ("model", "backbone", "variant", "num_classes", "stem", "width")
    return build(**{name: spec[name] for name in names})


def entries(spec):
    with torch.device("meta"):
        network = network_of(spec)
    params = {name for name, _ in network.named_parameters()}
    return [
        [name, list(value.shape), str(value.dtype).removeprefix("torch."), "param" if name in params else "buffer"]
        for name, value in network.state_dict().items()
    ]


def read_image(entry):
    with open(entry["image"], "rb") as file:
        values = torch.frombuffer(bytearray(file.read()), dtype=torch.float32)
    return values.reshape(entry["shape"]).permute(0, 3, 1, 2)


def write(path, tensors):
    """One after the other; returns their shapes."""
    with open(path, "wb") as file:
        for tensor in tensors:
            file.write(tensor.detach().float().contiguous().numpy().tobytes())
    return [list(tensor.shape) for tensor in tensors]


def outputs(network, image):
    """Logits, feature and, where there are any, auxiliary logits."""
    if isinstance(network, Network):
        logits, aux, feature = network(image)
    else:
        import published

        logits, aux, feature = published.outputs(network, image)
    return [value.permute(0, 2, 3, 1) for value in (logits, feature, aux) if value is not None]


def evaluate(network, entry):
    network.eval()
    with torch.inference_mode():
        return write(entry["out"], outputs(network, read_image(entry)))


def cotangent(value):
    """What zoo.test.ts has for its own gradients."""
    index = torch.arange(value.numel(), dtype=torch.float64)
    return (((index * 7919) % 1009) / 504.5 - 1).reshape(value.shape).to(value.dtype)


def train(network, entry, suffix):
    """Gradients in the parameters' order, then the state's buffers after one forward pass."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    dtype = next(network.parameters()).dtype
    logits, _, *aux = outputs(network, read_image(entry).to(dtype))
    loss = (logits * cotangent(logits)).sum()
    for value in aux:
        loss = loss + AUX_WEIGHT * (value * cotangent(value)).sum()
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    # mmsegmentation's networks have buffers that aren't state: mean and deviation of pixels.
    learnt = {name for name, _ in network.named_parameters()}
    buffers = [value for name, value in network.state_dict().items() if name not in learnt]
    write(entry["out"] + suffix, [*gradients, *buffers])


def load(entry):
    state = torch.load(entry["weights"], weights_only=True)
    network = network_of(entry)
    network.load_state_dict(state, strict=True)
    shapes = evaluate(network, entry)
    if entry["train"]:
        train(network, entry, ".train32")
        network.load_state_dict(state, strict=True)
        network.double().zero_grad()
        train(network, entry, ".train64")
    return shapes


def as_torchvision(network):
    """A backbone's file as of ImageNet: no prefix, layers of the classifier behind it."""
    prefix = "pretrained.net." if hasattr(network.pretrained, "net") else "pretrained."
    own = {k.removeprefix(prefix): v for k, v in network.state_dict().items() if k.startswith(prefix)}
    if prefix == "pretrained.net.":
        channels = network.pretrained.channels
        rest = {"features.18.0.weight": torch.zeros(1280, channels, 1, 1), "classifier.1.bias": torch.zeros(1000)}
    else:
        rest = {"fc.weight": torch.zeros(1000, network.pretrained.channels), "fc.bias": torch.zeros(1000)}
    return {**own, **rest}


def draw_norms(network):
    """Norms that aren't the identity."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)


def publish(entry):
    """A file as the package's own training writes it: mmsegmentation's has more beside the weights."""
    import published

    torch.manual_seed(entry["seed"])
    network = network_of(entry)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    draw_norms(network)
    state = network.state_dict()
    if published.is_mmseg(network):
        names = ("model", "backbone", "num_classes", "align_corners")
        meta = published.meta(**{name: entry[name] for name in names})
        state = {"meta": meta, "state_dict": state}
    torch.save(state, entry["weights"])
    network.eval()
    for view in entry["views"]:
        with torch.inference_mode():
            write(view["out"], outputs(network, read_image(view)))
            logits = published.segmented(network, read_image(view))
            write(view["out"] + ".full", [logits.permute(0, 2, 3, 1)])
    if entry["train"]:
        saved = {name: value.clone() for name, value in network.state_dict().items()}
        view = entry["views"][-1]
        train(network, view, ".train32")
        network.load_state_dict(saved, strict=True)
        network.double().zero_grad()
        train(network, view, ".train64")
    return published.pixels(entry["model"], entry["backbone"])


def save(entry):
    torch.manual_seed(entry["seed"])
    network = network_of(entry)
    if entry["nested"]:
        network.pretrained = MobileNetV2(channel_scale(entry["width"]), nested=True)
    draw_norms(network)
    state = {"module." + name: value for name, value in network.state_dict().items()}
    torch.save({"epoch": 7, "state_dict": state}, entry["weights"])
    torch.save(as_torchvision(network), entry["weights"] + ".backbone")
    return evaluate(network, entry)


def main():
    with open(sys.argv[1]) as plan_file:
        plan = json.load(plan_file)
    result = {
        "keys": {entry["name"]: entries(entry) for entry in plan["keys"]},
        "loaded": {entry["name"]: load(entry) for entry in plan["loaded"]},
        "saved": {entry["name"]: save(entry) for entry in plan["saved"]},
        "published": {entry["name"]: publish(entry) for entry in plan["published"]},
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()

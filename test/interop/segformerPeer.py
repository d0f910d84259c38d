"""PyTorch's side of segformer.test.ts: transformers' and mmsegmentation's own SegFormers. Prints one JSON object.

segformerPeer.py PLAN, a JSON file with
  keys    networks: their state-dict entries
  saved   networks to make and to save as the package does, with outputs for images; with "train" also
          gradients and buffers of one step in training mode, in float32 and float64
  loaded  networks with a .pth file from here, loaded with strict=True: outputs for an image
Maps are written channels last, as float32; weights in PyTorch's layout.
"""
import json
import sys
from functools import partial
from unittest import mock

import torch
from torch import nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

import published
from zooPeer import cotangent, draw_norms, read_image, write

WIDE = [64, 128, 320, 512]
SIZES = {
    "mit_b0": ([32, 64, 160, 256], [2, 2, 2, 2], 256),
    "mit_b1": (WIDE, [2, 2, 2, 2], 256),
    "mit_b2": (WIDE, [3, 4, 6, 3], 768),
    "mit_b3": (WIDE, [3, 4, 18, 3], 768),
    "mit_b4": (WIDE, [3, 8, 27, 3], 768),
    "mit_b5": (WIDE, [3, 6, 40, 3], 768),
}


def hugging_face_config(backbone, num_classes=None):
    hidden, depths, decoder = SIZES[backbone]
    labels = {} if num_classes is None else {"num_labels": num_classes}
    return SegformerConfig(hidden_sizes=hidden, depths=depths, decoder_hidden_size=decoder, **labels)


def as_cirkd(network):
    """CIRKD's code computes the same with a bias in the fusing convolution and another epsilon in outer norms."""
    head = network.decode_head
    fuse = head.linear_fuse
    head.linear_fuse = nn.Conv2d(fuse.in_channels, fuse.out_channels, 1)
    encoder = network.segformer.encoder
    outer = [norm for stage in encoder.block for block in stage for norm in (block.layer_norm_1, block.layer_norm_2)]
    for norm in [*outer, *encoder.layer_norm]:
        norm.eps = 1e-6
    return network


BLOCK_NAMES = {
    "layer_norm_1": "norm1",
    "attention.self.query": "attn.q",
    "attention.self.sr": "attn.sr",
    "attention.self.layer_norm": "attn.norm",
    "attention.output.dense": "attn.proj",
    "layer_norm_2": "norm2",
    "mlp.dense1": "mlp.fc1",
    "mlp.dwconv.dwconv": "mlp.dwconv.dwconv",
    "mlp.dense2": "mlp.fc2",
}
HEAD_NAMES = {"linear_fuse": "linear_fuse.0", "batch_norm": "linear_fuse.1", "classifier": "linear_pred"}


def cirkd_names(state):
    """Tensors by the names in CIRKD's models/segformer.py, where keys and values are one layer."""
    named = {}
    for name, value in state.items():
        path, last = name.rsplit(".", 1)
        parts = path.split(".")
        if parts[0] == "decode_head":
            own = f"linear_c{int(parts[2]) + 1}.proj" if parts[1] == "linear_c" else HEAD_NAMES[parts[1]]
        elif parts[2] == "patch_embeddings":
            own = f"patch_embed{int(parts[3]) + 1}.{'norm' if parts[4] == 'layer_norm' else 'proj'}"
        elif parts[2] == "layer_norm":
            own = f"norm{int(parts[3]) + 1}"
        else:
            block, inner = f"block{int(parts[3]) + 1}.{parts[4]}", ".".join(parts[5:])
            if inner == "attention.self.key":
                value = torch.cat([value, state[name.replace("key", "value")]])
                inner, own = "", f"{block}.attn.kv"
            elif inner == "attention.self.value":
                continue
            else:
                own = f"{block}.{BLOCK_NAMES[inner]}"
        named[f"{own}.{last}"] = value
    return named


def named_state(spec, network):
    state = network.state_dict()
    return cirkd_names(state) if spec["model"] == "segformer" else state


def named_gradients(spec, network):
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    return cirkd_names(gradients) if spec["model"] == "segformer" else gradients


def network_of(spec):
    if spec["model"] == "segformer":
        return as_cirkd(SegformerForSemanticSegmentation(hugging_face_config(spec["backbone"], spec["num_classes"])))
    if spec["model"] == "hf_segformer":
        return SegformerForSemanticSegmentation(hugging_face_config(spec["backbone"], spec["num_classes"]))
    return published.build_mmseg(spec["model"], spec["backbone"], spec["num_classes"], False, False)


def entries(spec):
    with torch.device("meta"), mock.patch("torch.linspace", partial(torch.linspace, device="cpu")):
        # mmsegmentation reads the probabilities of drop path from a tensor.
        network = network_of(spec)
    params = {name for name, _ in network.named_parameters()}
    return [
        [name, list(value.shape), str(value.dtype).removeprefix("torch."), "param" if name in params else "buffer"]
        for name, value in network.state_dict().items()
    ]


def outputs(network, image):
    """Logits and the classifier's input, before they are resized; channels last."""
    kept = []
    head = network.decode_head
    last = head.conv_seg if hasattr(head, "conv_seg") else head.classifier
    hook = last.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    if hasattr(network, "segformer"):
        logits = network(image).logits
    else:
        logits = network.decode_head(network.extract_feat(image))
    hook.remove()
    return [value.permute(0, 2, 3, 1) for value in (logits, kept[0])]


def still(network):
    """Training mode, in which nothing is dropped."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if type(module).__name__ in ("DropPath", "SegformerDropPath"):
            module.drop_prob = 0.0


def train(spec, network, view, suffix):
    still(network)
    dtype = next(network.parameters()).dtype
    network.zero_grad()
    logits, _ = outputs(network, read_image(view).to(dtype))
    # The layout of the cotangent is that of the maps written: channels last.
    (logits * cotangent(logits.contiguous())).sum().backward()
    gradients = named_gradients(spec, network)
    buffers = {name: value for name, value in named_state(spec, network).items() if name not in gradients}
    arrays = {**gradients, **buffers}
    write(view["out"] + suffix, arrays.values())
    return list(arrays)


def draw(network):
    """Weights large enough to matter: the initial ones make attention nearly uniform."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5)
            nn.init.uniform_(module.bias, -0.1, 0.1) if module.bias is not None else None
        if isinstance(module, nn.MultiheadAttention):
            nn.init.xavier_uniform_(module.in_proj_weight)
            nn.init.uniform_(module.in_proj_bias, -0.1, 0.1)
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    draw_norms(network)


def save(spec):
    torch.manual_seed(spec["seed"])
    network = network_of(spec)
    draw(network)
    network.eval()
    state = named_state(spec, network)
    if spec["model"].startswith("mmseg_"):
        state = {"meta": published.meta(spec["model"], spec["backbone"], spec["num_classes"], False), "state_dict": state}
    torch.save(state, spec["weights"])
    for view in spec["views"]:
        with torch.inference_mode():
            write(view["out"], outputs(network, read_image(view)))
    arrays = []
    if spec["train"]:
        state = {name: value.clone() for name, value in network.state_dict().items()}
        for view in spec["views"]:
            arrays = train(spec, network, view, ".train32")
            network.load_state_dict(state, strict=True)
            network.double()
            train(spec, network, view, ".train64")
            network.float().load_state_dict(state, strict=True)
    return arrays


def load(spec):
    network = network_of(spec)
    network.load_state_dict(torch.load(spec["weights"], weights_only=True), strict=True)
    network.eval()
    with torch.inference_mode():
        return write(spec["view"]["out"], outputs(network, read_image(spec["view"])))


def main():
    with open(sys.argv[1]) as plan_file:
        plan = json.load(plan_file)
    result = {
        "keys": {entry["name"]: entries(entry) for entry in plan["keys"]},
        "saved": {entry["name"]: save(entry) for entry in plan["saved"]},
        "loaded": {entry["name"]: load(entry) for entry in plan["loaded"]},
    }
    json.dump(result, sys.stdout)


main()

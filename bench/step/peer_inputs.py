"""The inputs of services/cli/bench/inputs.ts and networkWork.ts, the same values."""

import torch

from recipe import recipe_values

SALT = "bench/step"
LABEL_BLOCK = 32
IGNORED = 255
LARGEST_SEED = 1e-4
# Official: BGR less the mean of ImageNet, not scaled (src/models/normalise.ts).
PIXEL_MEAN = (104.00698793, 116.66876762, 122.67891434)


def output_size(workload):
    stride = 4 if workload["model"] == "segformer" else 8
    return -(-workload["height"] // stride), -(-workload["width"] // stride)


def made_map(name, images, size, channels, low, high):
    """[N, C, h, w] in the channels_last format: the values lie as in TensorFlow's [N, h, w, C]."""
    values = recipe_values(SALT, name, (images, *size, channels), low, high)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


def made_image(workload):
    size = workload["height"], workload["width"]
    return made_map("image", workload["images"], size, 3, -2, 2)


def made_rgb(workload):
    """One an image: uint8 [H, W, 3]."""
    shape = (workload["height"], workload["width"], 3)
    images = range(workload["images"])
    values = [recipe_values(SALT, f"rgb/{image}", shape, 0, 256) for image in images]
    return [torch.from_numpy(value.clip(max=255).astype("uint8")) for value in values]


def made_labels(workload):
    images, height, width = (workload[key] for key in ("images", "height", "width"))
    classes = workload["classes"]
    blocks = (images, -(-height // LABEL_BLOCK), -(-width // LABEL_BLOCK))
    values = torch.from_numpy(recipe_values(SALT, "labels", blocks, 0, classes + 1)).floor().long()
    values[values >= classes] = IGNORED
    spread = values.repeat_interleave(LABEL_BLOCK, 1).repeat_interleave(LABEL_BLOCK, 2)
    return spread[:, :height, :width].contiguous()


def made_seed(name, workload, channels):
    size = output_size(workload)
    return made_map(f"seed/{name}", workload["images"], size, channels, -LARGEST_SEED, LARGEST_SEED)


def made_teacher(workload):
    """Logits and raw feature."""
    images, size = workload["images"], output_size(workload)
    logits = made_map("teacher_logits", images, size, workload["classes"], -4, 4)
    return logits, made_map("feature", images, size, workload["teacherChannels"], -1, 1)


def made_bank(name, workload, rows):
    """[classes, rows, channels], unit rows."""
    classes, channels = workload["classes"], workload["teacherChannels"]
    bank = torch.empty(classes, rows, channels)
    for number, queue in enumerate(bank):
        values = recipe_values(SALT, f"{name}_bank/{number}", (rows, channels), -1, 1)
        torch.nn.functional.normalize(torch.from_numpy(values), dim=1, out=queue)
    return bank

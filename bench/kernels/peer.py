"""PyTorch's measured process: oneDNN's convolutions, channels last. See protocol.ts."""

import json
import sys
import time

import torch


def say(message):
    print(json.dumps(message), flush=True)


def least(work, least_ms):
    def timed():
        begin = time.process_time()
        work()
        return 1000 * (time.process_time() - begin)

    timed()
    best, total, count = float("inf"), 0.0, 0
    while count < 2 or total < least_ms:
        ms = timed()
        best, total, count = min(best, ms), total + ms, count + 1
    return best


def measure(shape, least_ms):
    images, inputs, outputs = shape["images"], shape["inputs"], shape["outputs"]
    kernel, groups = shape["kernel"], inputs if shape["depthwise"] else 1
    stride, padding, dilation = ([shape[name]] * 2 for name in ("stride", "padding", "dilation"))
    last = {"memory_format": torch.channels_last}
    x = torch.randn(images, inputs, shape["height"], shape["width"]).to(**last)
    w = torch.randn(outputs, inputs // groups, kernel, kernel).to(**last)

    def forward():
        return torch.conv2d(x, w, None, stride, padding, dilation, groups)

    dy = torch.randn_like(forward())

    def gradient(*wanted):
        return torch.ops.aten.convolution_backward(
            dy, x, w, None, stride, padding, dilation, False, [0, 0], groups, [*wanted, False]
        )

    works = {"forward": forward, "filterGradient": lambda: gradient(False, True)}
    if not shape["ofImage"]:
        works["inputGradient"] = lambda: gradient(True, False)
    return {name: least(work, least_ms) for name, work in works.items()}


def main():
    least_ms = float(sys.argv[1])
    torch.set_num_threads(1)
    say({"engine": f"PyTorch {torch.__version__}"})
    with torch.no_grad():
        for line in sys.stdin:
            say(measure(json.loads(line)["shape"], least_ms))


main()

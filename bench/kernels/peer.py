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
    kernel = shape["kernel"]
    stride, padding, dilation = ([shape[name]] * 2 for name in ("stride", "padding", "dilation"))
    last = {"memory_format": torch.channels_last}
    x = torch.randn(images, inputs, shape["height"], shape["width"]).to(**last)
    w = torch.randn(outputs, inputs, kernel, kernel).to(**last)

    def forward():
        return torch.conv2d(x, w, None, stride, padding, dilation)

    dy = torch.randn_like(forward())

    def gradient(*wanted):
        return torch.ops.aten.convolution_backward(
            dy, x, w, None, stride, padding, dilation, False, [0, 0], 1, [*wanted, False]
        )

    return {
        "forward": least(forward, least_ms),
        "inputGradient": least(lambda: gradient(True, False), least_ms),
        "filterGradient": least(lambda: gradient(False, True), least_ms),
    }


def main():
    least_ms = float(sys.argv[1])
    torch.set_num_threads(1)
    say({"engine": f"PyTorch {torch.__version__}"})
    with torch.no_grad():
        for line in sys.stdin:
            say(measure(json.loads(line)["shape"], least_ms))


main()

"""OpenCV's side of crops.test.ts: scale, subtract, pad, cut and mirror, in the official loaders' order and with cv2.

Arguments: a JSON file {height, width, image, labels, crop: [height, width], mean_bgr, plans: [{scale, top, left,
mirrored}]}, and the file to write to: for each plan float32 [height, width, 3], B G R less the mean, then int32 labels,
-1 where there is none. Prints the scaled sizes.
"""
import json
import sys

import cv2
import numpy as np

IGNORED = -1


def crop(bgr, labels, plan, size, mean):
    scale = plan["scale"]
    bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    labels = cv2.resize(labels, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    scaled = labels.shape
    centred = bgr.astype(np.float32) - mean
    below = max(size[0] - scaled[0], 0)
    right = max(size[1] - scaled[1], 0)
    border = (0, below, 0, right, cv2.BORDER_CONSTANT)
    centred = cv2.copyMakeBorder(centred, *border, value=(0.0, 0.0, 0.0))
    labels = cv2.copyMakeBorder(labels, *border, value=(IGNORED,))
    rows = slice(plan["top"], plan["top"] + size[0])
    columns = slice(plan["left"], plan["left"] + size[1])
    centred, labels = centred[rows, columns], labels[rows, columns]
    if plan["mirrored"]:
        centred, labels = centred[:, ::-1], labels[:, ::-1]
    return centred.astype(np.float32), labels, scaled


def main():
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    shape = (plan["height"], plan["width"])
    bgr = np.fromfile(plan["image"], dtype=np.uint8).reshape(*shape, 3)[..., ::-1]
    labels = np.fromfile(plan["labels"], dtype=np.uint8).reshape(shape).astype(np.int32)
    labels[labels == 255] = IGNORED
    mean = np.array(plan["mean_bgr"])
    sizes = []
    with open(sys.argv[2], "wb") as out:
        for one in plan["plans"]:
            centred, cut, scaled = crop(np.ascontiguousarray(bgr), labels, one, plan["crop"], mean)
            assert list(cut.shape) == plan["crop"], (cut.shape, one)
            out.write(np.ascontiguousarray(centred).tobytes())
            out.write(np.ascontiguousarray(cut.astype(np.int32)).tobytes())
            sizes.append(scaled)
    json.dump({"sizes": sizes}, sys.stdout)


main()

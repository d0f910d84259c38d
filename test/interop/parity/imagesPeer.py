"""OpenCV's side of images.test.ts: writes image files and what cv2.imread makes of each, R G B, to a folder.

Argument: the folder. Prints the files' names, height and width; the pixels of NAME are in NAME.rgb.
"""
import json
import sys

import cv2
import numpy as np

HEIGHT, WIDTH = 115, 151
QUALITY, SAMPLING = cv2.IMWRITE_JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR
PROGRESSIVE = cv2.IMWRITE_JPEG_PROGRESSIVE
FILES = {
    "95.jpg": [QUALITY, 95],
    "75-444.jpg": [QUALITY, 75, SAMPLING, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    "75-422.jpg": [QUALITY, 75, SAMPLING, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422],
    "60-420.jpg": [QUALITY, 60, SAMPLING, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420],
    "80-progressive.jpg": [QUALITY, 80, PROGRESSIVE, 1],
    "lossless.png": [],
}


def main():
    folder = sys.argv[1]
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    image = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    for name, options in FILES.items():
        assert cv2.imwrite(f"{folder}/{name}", image, options), name
        bgr = cv2.imread(f"{folder}/{name}", cv2.IMREAD_COLOR)
        np.ascontiguousarray(bgr[..., ::-1]).tofile(f"{folder}/{name}.rgb")
    json.dump({"names": list(FILES), "height": HEIGHT, "width": WIDTH}, sys.stdout)


main()

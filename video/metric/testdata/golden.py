#!/usr/bin/python3
"""Writes the test pictures and golden.json: PSNR and SSIM as scikit-image has them.

/usr/bin/python3 golden.py    (Debian's python3-skimage and ffmpeg)

The pictures are crops of Debian's opencv-doc clip vtest.avi, so that the
figures are those of real video.
"""
import json
import subprocess

import numpy as np
from skimage import io
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

CLIP = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
W, H = 96, 72
raw = subprocess.run(["ffmpeg", "-v", "error", "-i", CLIP, "-vf", f"scale={W}:{H}:flags=area",
                      "-frames:v", "40", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                     check=True, capture_output=True).stdout
clip = np.frombuffer(raw, np.uint8).reshape(-1, H, W, 3)
rng = np.random.default_rng(1)
real = clip[0]


def clipped(x):
    return np.clip(np.round(x), 0, 255).astype(np.uint8)


blur = sum(np.roll(real.astype(float), (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9
pictures = {
    "real": real,
    "later": clip[39],
    "noisy": clipped(real + rng.normal(0, 20, real.shape)),
    "blurred": clipped(blur),
    "brighter": clipped(real.astype(float) + 30),
    "negative": 255 - real,
    "flat": np.full_like(real, 128),
}


def ssim(a, b, **more):
    return structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                 data_range=255, **more)


def luma(x):
    return x.astype(float) @ np.array([0.299, 0.587, 0.114])


golden = []
for name, p in pictures.items():
    io.imsave(f"{name}.png", p, check_contrast=False)
    if name == "real":
        continue
    golden.append(dict(name=name, psnr=peak_signal_noise_ratio(real, p, data_range=255),
                       ssim=ssim(luma(real), luma(p)), ssim_rgb=ssim(real, p, channel_axis=2)))
with open("golden.json", "w") as f:
    json.dump(golden, f, indent=1)
    f.write("\n")

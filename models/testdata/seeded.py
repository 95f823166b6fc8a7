"""Makes seeded/*.safetensors: a vid2vid of three scales that goes on from given first frames.

  /usr/bin/python3 models/testdata/seeded.py        (Debian's python3-torch)

Files are as published.py writes them. In seeded_image an image network (first.*) makes the first frames, each
from its own labels; in seeded_real they are golden.seeds, bytes of a real clip. Nothing is hallucinated whole.
"""
import os

import torch
from torch.nn import functional as F

import nets
import published

published.here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeded")
CITY = dict(label_nc=4)
VIDEO = dict(ngf=4, n_downsample=1, n_blocks=1, n_scales_spatial=3, n_frames=3, use_instance=True, **CITY)
IMAGE = dict(ngf=2, n_downsample_global=2, n_blocks_global=1, **CITY)


def golden(seed, image, h, w, frames):
    torch.manual_seed(seed)
    o = nets.complete("vid2vid", VIDEO)
    scales = nets.make("vid2vid", VIDEO)
    for s, net in enumerate(scales):
        published.ready(net, VIDEO, seed + s)
    pad = lambda x, stride: F.pad(x, (0, -w % stride, 0, -h % stride), mode="replicate")
    ids = published.scene(h, w, VIDEO["label_nc"], frames)
    g, weights = dict(ids=ids), {}
    seeds = o["n_frames"] - 1
    if image:
        # Index pictures are seen without their boundaries, in the image network's own stride.
        net = published.ready(nets.make("pix2pixHD_global", IMAGE), IMAGE, seed + 9)
        oi = nets.complete("pix2pixHD_global", IMAGE)
        made = [net(nets.one_hot(pad(i[None, None].float(), 4)[0], oi))[:, :, :h, :w] for i in ids[:seeds]]
        weights.update({"first." + k: v for k, v in net.state_dict().items()})
    else:
        g["seeds"] = torch.randint(0, 256, (seeds, 3, h, w), dtype=torch.uint8)
        made = [published.value(p)[None] for p in g["seeds"]]
    run = nets.Rollout(scales, o, h + -h % 8, w + -w % 8, first=torch.zeros(1, 3, h + -h % 8, w + -w % 8))
    see = lambda i: nets.one_hot(pad(i[None, None].float(), 8)[0], o)
    for i, picture in zip(ids, made):  # the loop of the published code: seeds at every level, then frame after frame
        level = pad(picture, 8)
        run.window = (run.window or [see(i)] * seeds)[-(seeds - 1):] + [see(i)]
        for k in range(len(scales)):
            run.prev[k] = run.prev[k][1:] + [level]
            level = nets.pool(level)
    g["final"] = torch.cat([run.step(see(i))["final"] for i in ids[seeds:]]).half()
    for s, net in enumerate(scales):
        weights.update({("" if s == 0 else f"netG{s}.") + k: v for k, v in net.state_dict().items()})
    return weights, g


def main():
    os.makedirs(published.here, exist_ok=True)
    with torch.no_grad():
        for seed, image in ((5, True), (6, False)):
            weights, g = golden(seed, image, 21, 30, 5)
            first = dict(format=1, network="pix2pixHD_global", options=IMAGE, about={}) if image else None
            published.write("seeded_image" if image else "seeded_real", "vid2vid", VIDEO, weights, g, first)


if __name__ == "__main__":
    main()

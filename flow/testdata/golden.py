#!/usr/bin/python3
"""Writes golden.json: warp and resize as PyTorch computes them.

/usr/bin/python3 golden.py > golden.json   (Debian's python3-torch)
"""
import json
import torch
import torch.nn.functional as F

torch.manual_seed(7)


def flat(t):
    return [round(float(v), 4) for v in t.flatten()]


def warp(w, h, reach):
    src = torch.randint(0, 256, (1, 3, h, w)).float()
    uv = (torch.randn(1, 2, h, w) * reach).mul(1000).round().div(1000)
    ys, xs = torch.meshgrid(torch.arange(h).float(), torch.arange(w).float(), indexing="ij")
    grid = torch.stack([2 * (xs + uv[0, 0]) / (w - 1) - 1, 2 * (ys + uv[0, 1]) / (h - 1) - 1], -1)[None]
    out = F.grid_sample(src.double(), grid.double(), mode="bilinear", padding_mode="border", align_corners=True)
    return dict(w=w, h=h, src=[int(v) for v in src[0].permute(1, 2, 0).flatten()],
                u=flat(uv[0, 0]), v=flat(uv[0, 1]), out=flat(out[0].permute(1, 2, 0)))


def resize(w, h, to_w, to_h):
    uv = torch.randn(1, 2, h, w).mul(5).mul(1000).round().div(1000)
    out = F.interpolate(uv, size=(to_h, to_w), mode="bilinear", align_corners=False, antialias=True)
    out[:, 0] *= to_w / w
    out[:, 1] *= to_h / h
    return dict(w=w, h=h, to_w=to_w, to_h=to_h, u=flat(uv[0, 0]), v=flat(uv[0, 1]),
                out_u=flat(out[0, 0]), out_v=flat(out[0, 1]))


print(json.dumps(dict(
    warp=[warp(9, 7, 0.4), warp(8, 6, 5)],
    resize=[resize(7, 5, 14, 10), resize(12, 9, 5, 4), resize(6, 8, 9, 3), resize(5, 5, 5, 5)],
)))

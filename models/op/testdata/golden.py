"""Writes golden.json: what PyTorch makes of the operators, gradients included.

Run by hand with /usr/bin/python3 (Debian's python3-torch) in this folder. Every
entry is a function of its inputs, the gradient gy that its output receives, and
the gradients that its inputs get.
"""
import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
entries = {}


def pack(t):
    return None if t is None else {
        "shape": list(t.shape),
        "data": [float(f"{v:.8g}") for v in t.detach().flatten().tolist()],
    }


def golden(name, f, *inputs):
    inputs = [i.clone().requires_grad_(True) for i in inputs]
    out = f(*inputs)
    gy = torch.randn_like(out)
    out.backward(gy)
    entries[name] = {
        "in": [pack(i) for i in inputs],
        "gy": pack(gy),
        "out": pack(out),
        "grads": [pack(i.grad) for i in inputs],
    }


def rnd(*shape):
    return torch.randn(*shape)


def warp(image, flow):
    h, w = image.shape[2:]
    y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    gx = x + flow[:, 0] / ((w - 1) / 2)
    gy = y + flow[:, 1] / ((h - 1) / 2)
    return F.grid_sample(image, torch.stack([gx, gy], -1), mode="bilinear", padding_mode="border", align_corners=True)


def away(t):
    """Keeps fractional parts off the kinks of bilinear sampling."""
    return t.floor() + 0.1 + 0.8 * (t - t.floor())


golden("conv k3 s1 p0", lambda x, w, b: F.conv2d(x, w, b), rnd(2, 3, 5, 6), rnd(4, 3, 3, 3), rnd(4))
golden("conv k3 s2 p1", lambda x, w, b: F.conv2d(x, w, b, 2, 1), rnd(1, 3, 7, 6), rnd(4, 3, 3, 3), rnd(4))
golden("conv k4 s2 p2 no bias", lambda x, w: F.conv2d(x, w, None, 2, 2), rnd(2, 2, 6, 5), rnd(3, 2, 4, 4))
golden("conv k7 p3 reflect", lambda x, w, b: F.conv2d(F.pad(x, (3, 3, 3, 3), "reflect"), w, b),
       rnd(1, 2, 5, 6), rnd(3, 2, 7, 7), rnd(3))
golden("conv k3 p1 reflect", lambda x, w, b: F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), w, b),
       rnd(2, 3, 4, 5), rnd(2, 3, 3, 3), rnd(2))
golden("convt k3 s2 p1 op1", lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1), rnd(2, 3, 3, 4), rnd(3, 2, 3, 3), rnd(2))
golden("convt k4 s2 p1", lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1), rnd(1, 3, 4, 3), rnd(3, 2, 4, 4), rnd(2))
golden("batch norm", lambda x, g, b: F.batch_norm(x, None, None, g, b, True), rnd(2, 3, 4, 5) * 2 + 1, rnd(3), rnd(3))
golden("instance norm", lambda x: F.instance_norm(x), rnd(2, 3, 4, 5) * 3 - 1)
golden("instance norm affine", lambda x, g, b: F.instance_norm(x, weight=g, bias=b), rnd(2, 3, 4, 5), rnd(3), rnd(3))
golden("avgpool even", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), rnd(2, 2, 6, 4))
golden("avgpool odd", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), rnd(1, 2, 7, 5))
for mode in ("nearest", "bilinear"):
    kw = {} if mode == "nearest" else {"align_corners": False}
    golden(f"resize {mode} up", lambda x: F.interpolate(x, (7, 11), mode=mode, **kw), rnd(1, 2, 3, 5))
    golden(f"resize {mode} down", lambda x: F.interpolate(x, (3, 4), mode=mode, **kw), rnd(1, 2, 7, 9))
golden("warp", warp, rnd(2, 3, 6, 7), away(3 * rnd(2, 2, 6, 7)))
golden("l1", F.l1_loss, rnd(2, 3, 4), rnd(2, 3, 4))
golden("mse 1", lambda x: F.mse_loss(x, torch.ones_like(x)), rnd(2, 1, 4, 3))
golden("relu", torch.relu, rnd(3, 9))
golden("leaky relu 0.2", lambda x: F.leaky_relu(x, 0.2), rnd(3, 9))
golden("tanh", torch.tanh, rnd(3, 9))
golden("sigmoid", torch.sigmoid, rnd(3, 9))

p = rnd(3, 5).requires_grad_(True)
steps = {"lr": 2e-4, "p": [pack(p)], "g": []}
opt = torch.optim.Adam([p], lr=steps["lr"], betas=(0.5, 0.999), eps=1e-8)
for _ in range(3):
    p.grad = rnd(3, 5)
    steps["g"].append(pack(p.grad))
    opt.step()
    steps["p"].append(pack(p))

with open("golden.json", "w") as f:
    json.dump({"torch": torch.__version__, "ops": entries, "adam": steps}, f, separators=(",", ":"))
    f.write("\n")

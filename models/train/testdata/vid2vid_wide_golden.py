"""Makes vid2vid_wide.safetensors: a step of G and D on control pictures of 15 planes and the boundaries of instances.

  /usr/bin/python3 models/train/testdata/vid2vid_wide_golden.py        (Debian's python3-torch)

The file holds the weights before the step (w/NAME), the control frames, five pictures and that of instances below one
another, the real frame and the frames made before (in/NAME), and the gradients (g/NAME); losses are in the metadata.
"""
import json
import os
import struct
import sys

import torch
from torch.nn import functional as F

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "testdata"))
import nets  # noqa: E402

H, W = 16, 12
torch.manual_seed(9)
o = nets.complete("vid2vid", dict(ngf=3, n_downsample=1, n_blocks=1, n_frames=2, norm="instance", input_nc=15, use_instance=True))
g, = nets.vid2vid(o)
d = nets.make("multiscale", dict(ndf=3, n_layers_D=1, num_D=1, norm="instance", no_ganFeat_loss=False, ndf_doubles=False, input_nc=16 + 3))
named = {"": g, "D.": d}
for i, net in enumerate(named.values()):
    nets.start(net, 21 + i)
    nets.frame_mode(net).double()
smooth = lambda c: F.interpolate(torch.randn(1, c, 4, 4), size=(H, W), mode="bicubic", align_corners=False).clamp(-2, 2) / 2
as_bytes = lambda x: (x * 127.5 + 127.5).round()
tensors, labels = {}, []
for i in range(2):
    planes = as_bytes(smooth(15))
    # A picture of instances: the number in green and blue, low byte first, beside the label in red.
    ids = torch.randint(0, 3, (1, 3, H // 4, W // 4)).float().repeat_interleave(4, 2).repeat_interleave(4, 3)
    tiles = torch.cat([planes.reshape(1, 5, 3, H, W), ids[:, None]], 1)
    tensors[f"in/label{i}"] = tiles.permute(0, 1, 3, 4, 2).reshape(1, 6 * H, W, 3)
    number = (ids[:, 0] * 256 + ids[:, 1]) * 256 + ids[:, 2]
    edge = torch.zeros(number.shape, dtype=torch.bool)
    across, down = number[:, :, 1:] != number[:, :, :-1], number[:, 1:] != number[:, :-1]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    labels.append(torch.cat([planes / 255, edge[:, None].float()], 1).double())  # planes of a face are in [0,1]
real_bytes = as_bytes(smooth(3))
tensors["in/real"] = real_bytes.permute(0, 2, 3, 1)
real = (real_bytes / 127.5 - 1).double()
prev = smooth(3)
tensors["in/prev"] = prev


def levels(x):
    layers = []
    for j in range(d.layers):
        x = getattr(d, f"scale0_layer{j}")(x)
        layers.append(x)
    return layers


out = g(torch.cat(labels, 1), prev.double())
now, of_real = labels[1], levels(torch.cat([labels[1], real], 1))
loss = {}
add = lambda name, x: loss.__setitem__(name, loss.get(name, 0) + x)
for p in (out["final"], out["raw"]):
    fake = levels(torch.cat([now, p], 1))
    add("G_L1", 10 * F.l1_loss(p, real))
    add("G_GAN", ((fake[-1] - 1) ** 2).mean())
    add("G_FM", 10 * sum(F.l1_loss(a, b.detach()) * 4 / (len(fake) - 1) for a, b in zip(fake[:-1], of_real[:-1])))
of_g = sum(loss.values())
for p in (out["final"], out["raw"]):
    fake = levels(torch.cat([now, p.detach()], 1))
    add("D_fake", 0.5 * (fake[-1] ** 2).mean())
    add("D_real", 0.5 * ((of_real[-1] - 1) ** 2).mean())
of_d = loss["D_fake"] + loss["D_real"]
for prefix, total in (("", of_g), ("D.", of_d)):
    names, params = zip(*named[prefix].named_parameters())
    tensors.update({"w/" + prefix + k: v.detach().clone() for k, v in zip(names, params)})
    tensors.update({"g/" + prefix + k: v for k, v in zip(names, torch.autograd.grad(total, params, retain_graph=True))})

header, at = {"__metadata__": {"golden": json.dumps({k: v.item() for k, v in loss.items()})}}, 0
for k, t in tensors.items():
    header[k] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + 4 * t.numel()]}
    at += 4 * t.numel()
raw = json.dumps(header).encode()
raw += b" " * (-len(raw) % 8)
with open(os.path.join(here, "vid2vid_wide.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(raw)) + raw)
    for t in tensors.values():
        f.write(t.detach().contiguous().numpy().astype("<f4").tobytes())

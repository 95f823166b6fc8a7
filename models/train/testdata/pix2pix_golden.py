"""Makes pix2pix_*.safetensors: one training step on pairs of pictures, as PyTorch takes it.

  /usr/bin/python3 models/train/testdata/pix2pix_golden.py        (Debian's python3-torch)

A file holds the weights before the step (w/NAME), the inputs (in/NAME) and the gradients (g/NAME), but those that are
zero but for rounding; losses and the configuration are in the metadata. Where the discriminator goes first, the
generator's gradients are those against the discriminator that has learned.
"""
import json
import os
import struct
import sys

import torch
from torch.nn import functional as F

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "testdata"))
import perceptual_golden  # noqa: E402
from nets import Multiscale, channels, complete, frame_mode, make, one_hot, pool, start  # noqa: E402

LR = 2e-3


def write(name, tensors, meta):
    header, at = {"__metadata__": {"golden": json.dumps(meta)}}, 0
    for k, t in tensors.items():
        size = 4 if k.startswith("g/") else 2  # weights and bytes are numbers of float16
        n = t.numel() * size
        header[k] = {"dtype": "F16" if size == 2 else "F32", "shape": list(t.shape), "data_offsets": [at, at + n]}
        at += n
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(os.path.join(here, f"pix2pix_{name}.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for k, t in tensors.items():
            f.write(t.detach().contiguous().numpy().astype("<f4" if k.startswith("g/") else "<f2").tobytes())


def pictures(n, h, w):
    pix = torch.randint(0, 256, (n, h, w, 3)).float()
    return pix, pix.permute(0, 3, 1, 2) / 127.5 - 1


class Features(Multiscale):
    """forward gives the results of every layer of each scale, the logits last."""
    def forward(self, x):
        out = []
        for i in reversed(range(self.n)):
            y, layers = x, []
            for j in range(self.layers):
                y = getattr(self, f"scale{i}_layer{j}")(y)
                layers.append(y)
            out.append(layers)
            x = pool(x)
        return out


class WithEncoder(torch.nn.Module):
    """A global generator that sees an encoder's features, averaged over each instance of each picture."""
    def __init__(self, o, seed):
        super().__init__()
        inner = start(make("pix2pixHD_global", {k: v for k, v in o.items() if k not in ("nef", "n_downsample_E")}), seed)
        self.model = inner.model
        self.netE = start(make("pix2pixHD_encoder", dict(feat_num=o["feat_num"], nef=o["nef"], n_downsample_E=o["n_downsample_E"], norm=o["norm"])), seed + 7)

    def forward(self, control, real, ids):
        features = self.netE(real)
        means = torch.zeros_like(features)
        for n in range(len(ids)):
            for i in ids[n].unique():
                where = ids[n] == i
                means[n, :, where] = features[n, :, where].mean(1, keepdim=True).expand(-1, int(where.sum()))
        return self.model(torch.cat([control, means], 1))


class Dropped(torch.nn.Module):
    """Dropout of one half by a mask that is kept."""
    def forward(self, x):
        if not hasattr(self, "mask"):
            self.mask = 2.0 * torch.randint(0, 2, x.shape)
        return x * self.mask


def off(loss, x, label):
    if loss == "bce":
        return F.binary_cross_entropy_with_logits(x, torch.full_like(x, label))
    return ((x - label) ** 2).mean()


def step(name, seed, network, options, batch, h, w, loss, norm, scales, first, label=1.0, l1=100.0, fm=0.0, stage=None, r1=0.0, vgg=False):
    torch.manual_seed(seed)
    g = frame_mode(WithEncoder(options, seed) if stage == "features" else start(make(network, options), seed))
    learning, dropped = lambda name: True, {}
    if stage == "dropout":
        for k, m in list(g.named_modules()):
            if isinstance(m, torch.nn.Dropout):
                dropped[k] = Dropped()
                parent, _, index = k.rpartition(".")
                g.get_submodule(parent)[int(index)] = dropped[k]
    if stage == "global":
        # The generator inside a local enhancer, before it loses its last convolution.
        n = options["n_local_enhancers"]
        inner = {k: v for k, v in options.items() if k not in ("n_local_enhancers", "n_blocks_local")}
        g = frame_mode(start(make("pix2pixHD_global", {**inner, "ngf": options["ngf"] << n}), seed))
    elif stage == "fixed":
        learning = lambda name: not name.startswith("model.")
    ndf, layers, seen = 2, 2, channels(options) if stage == "features" else 3
    if scales:
        d = Features(complete("multiscale", dict(input_nc=3 + seen, ndf=ndf, n_layers_D=layers, num_D=scales, norm=norm)))
        judge = lambda a, x: d(torch.cat([a, x], 1))
    else:
        d = make("patchgan", dict(input_nc=3 + seen, ndf=ndf, n_layers_D=layers, norm=norm))
        judge = lambda a, x: [[d(torch.cat([a, x], 1))]]
    start(d, seed + 1).train()
    out = {}
    for prefix, net in (("w/", g), ("w/D.", d)):
        out.update({prefix + k: v.detach().clone() for k, v in net.named_parameters()})
    a_bytes, a = pictures(batch, h, w)
    b_bytes, b = pictures(batch, h, w)
    out.update({"in/control": a_bytes, "in/real": b_bytes})
    if stage == "global":
        a, b = pool(a), pool(b)
    losses = {}

    def keep(prefix, net):
        grads = {prefix + k: p.grad.clone() for k, p in net.named_parameters() if net is d or learning(k)}
        most = max(x.abs().max() for x in grads.values())
        out.update({k: x for k, x in grads.items() if x.abs().max() > 1e-5 * most})

    def of_d(fake):
        opt = torch.optim.Adam(d.parameters(), lr=LR, betas=(0.5, 0.999))
        d.zero_grad()
        real, made = judge(a, b), judge(a, fake.detach())
        losses["D_real"] = 0.5 * sum(off(loss, s[-1], label) for s in real)
        losses["D_fake"] = 0.5 * sum(off(loss, s[-1], 0.0) for s in made)
        total = losses["D_real"] + losses["D_fake"]
        if r1:
            x = b.clone().requires_grad_()
            slope, = torch.autograd.grad(batch * sum(s[-1].mean() for s in judge(a, x)), x, create_graph=True)
            losses["R1"] = slope.square().flatten(1).sum(1).mean()
            total = total + r1 / 2 * losses["R1"]
        total.backward()
        keep("g/D.", d)
        opt.step()

    if stage == "features":
        # Index pictures: the label in the first byte, the instance in the others.
        a_bytes = torch.zeros(batch, h, w, 3)
        a_bytes[..., 0] = torch.randint(0, options["label_nc"], (batch, h // 4, w // 4)).repeat_interleave(4, 1).repeat_interleave(4, 2)
        a_bytes[:, :, w // 2:, 2] = 7
        out["in/control"] = a_bytes
        ids = (a_bytes * torch.tensor([1.0, 256.0, 65536.0])).sum(3)
        a = one_hot(a_bytes[..., 0], {**options, "use_instance": False})
        edge = one_hot(ids.unique(return_inverse=True)[1], {"label_nc": int(ids.unique().numel()), "use_instance": True})[:, -1:]
        a = torch.cat([a, edge], 1)
        fake = g(a, b, ids)
    else:
        fake = g(a)
    if stage == "dropout":
        out.update({f"in/{k}.dropout": m.mask for k, m in dropped.items()})
    if first:
        of_d(fake)
    g.zero_grad()
    verdict = judge(a, fake)
    losses["G_GAN"] = sum(off(loss, s[-1], 1.0) for s in verdict)
    if l1:
        losses["G_L1"] = l1 * F.l1_loss(fake, b)
    if vgg:
        losses["G_VGG"] = perceptual_golden.loss(fake, b)
    if fm:
        real = judge(a, b)
        losses["G_FM"] = sum(fm * 4 / (layers + 1) / scales * F.l1_loss(x, y.detach()) for s, t in zip(verdict, real) for x, y in zip(s[:-1], t[:-1]))
    (losses["G_GAN"] + sum(losses.get(k, 0) for k in ("G_L1", "G_VGG", "G_FM"))).backward()
    keep("g/", g)
    if not first:
        of_d(fake)
    write(name, out, dict(losses={k: v.item() for k, v in losses.items()}, network=network, options=options, batch=batch, h=h, w=w,
                          loss=loss, norm=norm, scales=scales, first=first, label=label, l1=l1, fm=fm, stage=stage, **({"r1": r1} if r1 else {}),
                          **({"vgg": True} if vgg else {})))


if __name__ == "__main__":
    step("unet", 1, "unet", dict(input_nc=3, output_nc=3, ngf=1, num_downs=5, norm="batch"), 1, 64, 32, "bce", "batch", 0, True, label=0.9)
    step("resnet", 2, "resnet", dict(input_nc=3, output_nc=3, ngf=2, n_blocks=1, norm="instance"), 2, 24, 28, "lsgan", "instance", 0, True)
    step("hd", 3, "pix2pixHD_global", dict(input_nc=3, output_nc=3, ngf=2, n_downsample_global=2, n_blocks_global=1, norm="instance"), 2, 24, 28,
         "lsgan", "instance", 2, False, l1=10.0, fm=10.0)
    for stage in ("global", "fixed", "all"):
        step("hd_local_" + stage, 4, "pix2pixHD_local", dict(input_nc=3, output_nc=3, ngf=1, n_downsample_global=1, n_blocks_global=1, norm="instance",
             n_local_enhancers=1, n_blocks_local=1), 1, 24, 28, "lsgan", "instance", 3, False, l1=10.0, fm=10.0, stage=stage)
    step("hd_features", 5, "pix2pixHD_global", dict(input_nc=3, output_nc=3, ngf=2, n_downsample_global=2, n_blocks_global=1, norm="instance", label_nc=4,
         use_instance=True, feat_num=2, nef=2, n_downsample_E=2), 2, 24, 28, "lsgan", "instance", 2, False, l1=10.0, fm=10.0, stage="features")
    step("unet_dropout", 6, "unet", dict(input_nc=3, output_nc=3, ngf=1, num_downs=6, norm="batch", dropout=True), 1, 64, 64, "bce", "batch", 0, True, stage="dropout")
    step("resnet_dropout", 7, "resnet", dict(input_nc=3, output_nc=3, ngf=2, n_blocks=2, norm="instance", dropout=True), 1, 24, 28, "bce", "instance", 0, True,
         stage="dropout")
    step("r1", 8, "pix2pixHD_global", dict(input_nc=3, output_nc=3, ngf=2, n_downsample_global=2, n_blocks_global=1, norm="instance"), 2, 24, 28,
         "lsgan", "instance", 2, False, l1=10.0, fm=10.0, r1=1000.0)
    step("r1_patches", 9, "unet", dict(input_nc=3, output_nc=3, ngf=1, num_downs=5, norm="batch"), 1, 64, 32, "bce", "batch", 0, True, r1=1000.0)
    step("hd_vgg", 10, "pix2pixHD_global", dict(input_nc=3, output_nc=3, ngf=2, n_downsample_global=2, n_blocks_global=1, norm="instance"), 2, 24, 28,
         "lsgan", "instance", 2, False, l1=0.0, fm=10.0, vgg=True)

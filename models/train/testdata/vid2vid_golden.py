"""Makes vid2vid.safetensors: one step of G, D and two temporal D as PyTorch takes it, two spatial scales and a foreground.

  /usr/bin/python3 models/train/testdata/vid2vid_golden.py        (Debian's python3-torch)

The file holds the weights before the step (w/NAME), the inputs (in/NAME) and the gradients (g/NAME) with least
squares; losses, of the other adversarial losses too, are in the metadata.

And vid2vid_chunk.safetensors: a step on a chunk of two frames, with least squares: what it has beside the inputs and
weights above, the gradients through time (g/NAME), and some of those that do not go through time (once/NAME).

And vid2vid_spectral.safetensors: the first step again, of discriminators without norm and with torch's spectral_norm:
its directions before the step (w/NAME) and after (after/NAME), and the discriminators' gradients and some of G's.

And vid2vid_face.safetensors: the first step again with a discriminator of faces, which are what has id 2 in another
newest label map (in/label2): its weights, its gradients and some of G's (g/NAME), and its gradients with R1 at 1000
(steep/NAME); losses in the metadata.

And vid2vid_r1.safetensors and vid2vid_r1_spectral.safetensors: the discriminators' gradients and losses of those two
steps with the R1 penalty at 1000, of their slopes at the real frames.
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

H, W = 16, 20
torch.manual_seed(4)
o = nets.complete("vid2vid", dict(ngf=4, n_downsample=1, n_blocks=2, n_frames=3, norm="batch", n_scales_spatial=2, n_blocks_local=1, fg=True,
                                  fg_labels=[1], label_nc=3, use_instance=True))
g0, g1 = nets.vid2vid(o)
multi = dict(ndf=3, n_layers_D=2, num_D=2, norm="instance", no_ganFeat_loss=False, ndf_doubles=False)
judges = {p: nets.make("multiscale", dict(multi, input_nc=c)) for p, c in (("D.", 7), ("DT.", 13), ("DT1.", 13))}
named = {"": g0, "netG1.": g1, **judges}
for i, net in enumerate(named.values()):
    nets.start(net, 11 + i)
    nets.frame_mode(net).double()

inputs = {}


def smooth(name, c, h=H, w=W, by=0.8):
    """Smooth random pictures."""
    x = F.interpolate(torch.randn(1, c, 4, 5), size=(h, w), mode="bicubic", align_corners=False) * 0.5
    inputs[name] = x.clamp(-1, 1) * by
    return inputs[name].double()


def ids(name):
    x = torch.randint(0, 3, (1, H // 4, W // 4)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    inputs[name] = x[..., None].expand(-1, -1, -1, 3).float()
    return nets.one_hot(x, o).double()


labels = [ids(f"label{i}") for i in range(3)]
pix = (smooth("x", 3).permute(0, 2, 3, 1) * 127.5 + 127.5).round()
del inputs["x"]
inputs["real"] = pix
real = pix.permute(0, 3, 1, 2) / 127.5 - 1
fakes = {back: smooth(f"fake{back}", 3) for back in (1, 2, 3, 6)}
reals = {back: smooth(f"real{back}", 3) for back in (1, 2, 3, 6)}
coarse = [smooth(f"coarse{back}", 3, H // 2, W // 2) for back in (2, 1)]
flows = {n: smooth(n, 2, by=2) for n in ("flow", "flowprev", "flow3.0", "flow3.3")}
seen = (torch.rand(1, 1, H, W) < 0.7).double()
inputs["visible"] = seen


def levels(net, x):
    """The features of every layer, scales from the finest."""
    all = []
    for i in reversed(range(net.n)):
        y, layers = x, []
        for j in range(net.layers):
            y = getattr(net, f"scale{i}_layer{j}")(y)
            layers.append(y)
        all.append(layers)
        x = nets.pool(x)
    return all


def gan(kind, verdict, is_real, fool=False):
    total = 0
    for layers in verdict:
        x = layers[-1]
        if kind == "hinge":
            total = total + (-x.mean() if fool else F.relu(1 - x if is_real else 1 + x).mean())
        elif kind == "vanilla":
            total = total + F.binary_cross_entropy_with_logits(x, torch.full_like(x, float(is_real)))
        else:
            total = total + ((x - float(is_real)) ** 2).mean()
    return total


def matched(fake, real):
    return sum(F.l1_loss(a, b.detach()) * 4 / (len(f) - 1) / len(fake) for f, r in zip(fake, real) for a, b in zip(f[:-1], r[:-1]))


def in_time(s, past, now):
    """What temporal discriminator s sees."""
    stride, names = (1, ("flowprev", "flow")) if s == 0 else (3, ("flow3.3", "flow3.0"))
    return torch.cat([past[2 * stride], past[stride], now] + [flows[n] / 20 for n in names], 1)


face = None  # the discriminator of faces, and the square it sees


def about_face(x):
    y0, x0, side = face[1]
    return x[:, :, y0:y0 + side, x0:x0 + side]


def step(kind):
    seg = torch.cat(labels, 1)
    first = g0(nets.pool(seg), torch.cat(coarse, 1))
    out = g1(seg, torch.cat([fakes[2], fakes[1]], 1), first)
    loss = {}
    add = lambda name, x: loss.__setitem__(name, loss.get(name, 0) + x)
    now, d = labels[2], judges["D."]
    of_real = levels(d, torch.cat([now, real], 1))
    for p in (out["final"], out["raw"]):
        fake = levels(d, torch.cat([now, p], 1))
        add("G_L1", 10 * F.l1_loss(p, real))
        add("G_GAN", gan(kind, fake, True, fool=True))
        add("G_FM", 10 * matched(fake, of_real))
    if face:
        real_f = levels(face[0], torch.cat([about_face(now), about_face(real)], 1))
        fake_f = levels(face[0], torch.cat([about_face(now), about_face(out["final"])], 1))
        add("G_f_GAN", 2 * gan(kind, fake_f, True, fool=True))
        add("G_f_FM", 2 * 10 * matched(fake_f, real_f))
    add("F_Flow", 10 / 2 * F.l1_loss(out["flow"] * seen, flows["flow"] * seen))
    add("F_Warp", 10 * F.l1_loss(nets.warp(reals[1], out["flow"]) * seen, real * seen))
    add("G_Warp", 10 * F.l1_loss(out["final"] * seen, nets.warp(fakes[1], flows["flow"]) * seen))
    add("W", (out["mask"] * seen).abs().mean())
    for s, name in enumerate(("T", "T1")):
        d = judges[f"D{name}."]
        fake, of_real_t = levels(d, in_time(s, fakes, out["final"])), levels(d, in_time(s, reals, real))
        add(f"G{name}_GAN", gan(kind, fake, True, fool=True))
        add(f"G{name}_FM", 10 * matched(fake, of_real_t))
    of_g = sum(loss.values())
    final, raw = out["final"].detach(), out["raw"].detach()
    of_d = 0
    for p in (final, raw):
        add("D_fake", 0.5 * gan(kind, levels(judges["D."], torch.cat([now, p], 1)), False))
        add("D_real", 0.5 * gan(kind, of_real, True))
    if face:
        fake_f = levels(face[0], torch.cat([about_face(now), about_face(final)], 1))
        add("D_f_fake", 0.5 * gan(kind, fake_f, False))
        add("D_f_real", 0.5 * gan(kind, real_f, True))
    for s, name in enumerate(("T", "T1")):
        d = judges[f"D{name}."]
        add(f"D{name}_fake", 0.5 * gan(kind, levels(d, in_time(s, fakes, final)), False))
        add(f"D{name}_real", 0.5 * gan(kind, levels(d, in_time(s, reals, real)), True))
    of_d = sum(v for k, v in loss.items() if k.startswith("D"))
    return loss, of_g, of_d


tensors = {"in/" + k: v for k, v in inputs.items()}
for prefix, net in named.items():
    tensors.update({"w/" + prefix + k: v.detach().clone() for k, v in net.named_parameters()})
losses = {}
for kind in ("lsgan", "hinge", "vanilla"):
    loss, of_g, of_d = step(kind)
    losses[kind] = {k: v.item() for k, v in loss.items()}
    if kind == "lsgan":
        for of, prefixes in ((of_g, ("", "netG1.")), (of_d, judges)):
            names, params = zip(*((p + k, v) for p in prefixes for k, v in named[p].named_parameters()))
            for k, grad in zip(names, torch.autograd.grad(of, params, retain_graph=True, allow_unused=True)):
                if grad is not None:  # no loss sees the pictures of the coarser scale
                    tensors["g/" + k] = grad

def save(path, tensors, meta):
    header, at = {"__metadata__": {"golden": json.dumps(meta)}}, 0
    for k, t in tensors.items():
        n = t.numel() * 4
        header[k] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + n]}
        at += n
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(os.path.join(here, path), "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for t in tensors.values():
            f.write(t.detach().contiguous().numpy().astype("<f4").tobytes())


save("vid2vid.safetensors", tensors, losses)



def r1(name):
    """The discriminators' step with R1, differentiated twice."""
    loss, _, of_d = step("lsgan")
    loss = {k: v for k, v in loss.items() if k.startswith("D")}
    for p, d in judges.items():
        s = ("DT.", "DT1.").index(p) if p != "D." else None
        x = (real if s is None else torch.cat([reals[2 * 3**s], reals[3**s], real], 1)).detach().clone().requires_grad_()
        whole = torch.cat([labels[2], x], 1) if s is None else torch.cat([x, in_time(s, reals, real)[:, 9:]], 1)
        slope, = torch.autograd.grad(sum(v[-1].mean() for v in levels(d, whole)), x, create_graph=True)
        loss[p + "R1"] = slope.square().sum()
        of_d = of_d + 1000 / 2 * loss[p + "R1"]
    names, params = zip(*((p + k.replace("weight_orig", "weight"), v) for p in judges for k, v in named[p].named_parameters()))
    save(name, {"g/" + k: grad for k, grad in zip(names, torch.autograd.grad(of_d, params))},
         {k.replace(".R1", "_R1"): v.item() for k, v in loss.items()})


r1("vid2vid_r1.safetensors")

with torch.random.fork_rng():
    torch.manual_seed(6)
    d_f = nets.make("multiscale", dict(multi, input_nc=7, num_D=1))
    nets.start(d_f, 31)
    nets.frame_mode(d_f).double()
face = d_f, (5, 9, 8)  # about row 9, column 13
x = torch.zeros(1, H, W, dtype=torch.long)
x[0, :7, 3:12] = 1
x[0, 7:12, 12:16] = 2
labels_before = list(labels)
labels[2] = nets.one_hot(x, o).double()
tensors = {"in/label2": x[..., None].expand(-1, -1, -1, 3).float()}
tensors.update({"w/D_f." + k: v.detach().clone() for k, v in d_f.named_parameters()})
losses = {}
own, params = zip(*(("D_f." + k, v) for k, v in d_f.named_parameters()))
for kind in ("lsgan", "hinge", "vanilla"):
    loss, of_g, of_d = step(kind)
    losses[kind] = {k: v.item() for k, v in loss.items()}
    if kind == "lsgan":
        some = [(p + k, v) for p in ("", "netG1.") for k, v in named[p].named_parameters() if "model_final_" in k or "model_down_img" in k]
        for total, (names, of) in ((of_g, zip(*some)), (of_d, (own, params))):
            for k, grad in zip(names, torch.autograd.grad(total, of, retain_graph=True, allow_unused=True)):
                if grad is not None:
                    tensors["g/" + k] = grad
        x = about_face(real).detach().clone().requires_grad_()
        verdict = levels(d_f, torch.cat([about_face(labels[2]), x], 1))
        slope, = torch.autograd.grad(sum(v[-1].mean() for v in verdict), x, create_graph=True)
        losses["r1"] = {"D_f_R1": slope.square().sum().item()}
        tensors.update({"steep/" + k: grad for k, grad in zip(own, torch.autograd.grad(of_d + 500 * slope.square().sum(), params))})
save("vid2vid_face.safetensors", tensors, losses)
face = None
labels = labels_before

# The chunk: frames 6 and 7 of a clip. The second is made of the first.
known = set(inputs)
labels.append(ids("label3"))
pix = (smooth("x", 3).permute(0, 2, 3, 1) * 127.5 + 127.5).round()
del inputs["x"]
inputs["real@1"] = pix
now_real = [real, pix.permute(0, 3, 1, 2) / 127.5 - 1]
fakes[5], reals[5] = smooth("fake5", 3), smooth("real5", 3)
flow_of = [flows, {n: smooth(n + "@1", 2, by=2) for n in flows}]
inputs["visible@1"] = (torch.rand(1, 1, H, W) < 0.7).double()
visible = [seen, inputs["visible@1"]]


def chunk(through_time):
    """The losses of G and of D on the two frames: means over them."""
    carry = (lambda x: x) if through_time else (lambda x: x.detach())
    loss, made, prev, small = {}, [], [fakes[2], fakes[1]], list(coarse)
    add = lambda name, x: loss.__setitem__(name, loss.get(name, 0) + x / 2)
    d = judges["D."]
    for j in range(2):
        seg = torch.cat(labels[j:j + 3], 1)
        first = g0(nets.pool(seg), torch.cat(small, 1))
        out = g1(seg, torch.cat(prev, 1), first)
        fake_before = prev[1].detach()
        made.append(out)
        prev, small = [prev[1], carry(out["final"])], [small[1], carry(first["final"])]
        now, real_now, real_before = labels[j + 2], now_real[j], (reals[1], real)[j]
        of_real = levels(d, torch.cat([now, real_now], 1))
        for p in (out["final"], out["raw"]):
            fake = levels(d, torch.cat([now, p], 1))
            add("G_L1", 10 * F.l1_loss(p, real_now))
            add("G_GAN", gan("lsgan", fake, True, fool=True))
            add("G_FM", 10 * matched(fake, of_real))
            add("D_fake", 0.5 * gan("lsgan", levels(d, torch.cat([now, p.detach()], 1)), False))
            add("D_real", 0.5 * gan("lsgan", of_real, True))
        flow, conf = flow_of[j]["flow"], visible[j]
        add("F_Flow", 10 / 2 * F.l1_loss(out["flow"] * conf, flow * conf))
        add("F_Warp", 10 * F.l1_loss(nets.warp(real_before, out["flow"]) * conf, real_now * conf))
        add("G_Warp", 10 * F.l1_loss(out["final"] * conf, nets.warp(fake_before, flow) * conf))
        add("W", (out["mask"] * conf).abs().mean())
    final = [out["final"] for out in made]
    for j in range(2):
        for s, name in enumerate(("T", "T1")):
            d = judges[f"D{name}."]
            stride, names = (1, ("flowprev", "flow")) if s == 0 else (3, ("flow3.3", "flow3.0"))
            motion = [flow_of[j][n] / 20 for n in names]
            see = lambda chunk, before: [chunk[j - b] if b <= j else before[b - j] for b in (2 * stride, stride, 0)]
            fake = levels(d, torch.cat(see(final, fakes) + motion, 1))
            of_real = levels(d, torch.cat(see(now_real, reals) + motion, 1))
            add(f"G{name}_GAN", gan("lsgan", fake, True, fool=True))
            add(f"G{name}_FM", 10 * matched(fake, of_real))
            add(f"D{name}_fake", 0.5 * gan("lsgan", levels(d, torch.cat(see([x.detach() for x in final], fakes) + motion, 1)), False))
            add(f"D{name}_real", 0.5 * gan("lsgan", of_real, True))
    return loss, sum(v for k, v in loss.items() if not k.startswith("D")), sum(v for k, v in loss.items() if k.startswith("D"))


tensors = {"in/" + k: v for k, v in inputs.items() if k not in known}
for key, through_time in (("g/", True), ("once/", False)):
    loss, of_g, of_d = chunk(through_time)
    for of, prefixes in ((of_g, ("", "netG1.")), (of_d, judges)):
        names, params = zip(*((p + k, v) for p in prefixes for k, v in named[p].named_parameters()))
        for k, grad in zip(names, torch.autograd.grad(of, params, retain_graph=True, allow_unused=True)):
            if grad is not None and (through_time or "model_down_img.1." in k or "model_final_" in k):
                tensors[key + k] = grad
save("vid2vid_chunk.safetensors", tensors, {k: v.item() for k, v in loss.items()})

# Spectral norm: G is judged by the directions as they are, then D and D_T improve them once and learn.
del labels[3:]
known = []
for p, net in judges.items():
    for k, m in list(net.named_modules()):
        if isinstance(m, torch.nn.Sequential):
            conv = m[0]
            v = F.normalize(torch.randn(conv.weight[0].numel()).double(), dim=0)
            torch.nn.utils.spectral_norm(conv)
            w = conv.weight_orig.detach().flatten(1)
            conv.weight_u.data, conv.weight_v.data = F.normalize(w @ v, dim=0), v.clone()
            for i in range(1, len(m)):
                if isinstance(m[i], torch.nn.InstanceNorm2d):
                    m[i] = torch.nn.Identity()
            known.append((p + k + ".0", conv))
    net.eval()
tensors = {f"w/{k}.weight_v": conv.weight_v.clone() for k, conv in known}
loss, of_g, _ = step("lsgan")
names, params = zip(*((p + k, v) for p in ("", "netG1.") for k, v in named[p].named_parameters() if "model_final_" in k or "bias" in k))
for k, grad in zip(names, torch.autograd.grad(of_g, params, allow_unused=True)):
    if grad is not None:
        tensors["g/" + k] = grad
for k, conv in known:
    conv.train()
    conv(torch.zeros(1, conv.in_channels, 8, 8).double())
    conv.eval()
    tensors[f"after/{k}.weight_v"] = conv.weight_v.clone()
after, _, of_d = step("lsgan")
loss = {k: (after if k.startswith("D") else loss)[k].item() for k in loss}
names, params = zip(*((p + k.replace("weight_orig", "weight"), v) for p in judges for k, v in named[p].named_parameters()))
tensors.update({"g/" + k: grad for k, grad in zip(names, torch.autograd.grad(of_d, params))})
save("vid2vid_spectral.safetensors", tensors, loss)
r1("vid2vid_r1_spectral.safetensors")

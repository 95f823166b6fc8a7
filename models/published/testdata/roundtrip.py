"""Saves networks as the published code did, and later loads what v2v has made of them.

  roundtrip.py make DIR     DIR/NAME/*.pth, DIR/NAME.safetensors (inputs, weights, outputs), DIR/cases.json
  roundtrip.py check DIR    DIR/NAME/export/* must load strictly, and give the same weights and outputs

Debian's python3-torch: /usr/bin/python3.
"""
import json
import os
import sys
from collections import OrderedDict

import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, "..", "..", "testdata"), os.path.join(here, "..", "..", "weights", "testdata")]
import nets  # noqa: E402
import safetensors  # noqa: E402

CITY = dict(label_nc=35, use_instance=True)

# name, network, options, height, width, how it is saved
CASES = [
    ("city", "vid2vid", dict(ngf=4, n_downsample=1, n_blocks=3, n_scales_spatial=3, n_blocks_local=1, fg=True, **CITY), 24, 40, ["legacy"]),
    ("flat", "vid2vid", dict(ngf=2, n_downsample=2, n_blocks=4, n_frames=2, norm="instance_tracked", no_flow=True), 12, 20, ["half"]),
    ("deep", "vid2vid", dict(ngf=2, n_downsample=3, n_blocks=5, label_nc=20, fg=False), 24, 40, ["legacy", "double", "module", "uncounted"]),
    ("face", "vid2vid", dict(ngf=2, n_downsample=1, n_blocks=1, n_scales_spatial=2, norm="instance", input_nc=15), 12, 20, ["views"]),
    ("global_city", "pix2pixHD_global", dict(ngf=2, n_downsample_global=3, n_blocks_global=3, **CITY), 24, 40, ["brain"]),
    ("global_rgb", "pix2pixHD_global", dict(ngf=2, n_downsample_global=1, n_blocks_global=2, norm="batch"), 10, 14, ["legacy", "views"]),
    ("global_old", "pix2pixHD_global", dict(ngf=1, n_downsample_global=4, n_blocks_global=1, norm="instance_tracked", label_nc=35), 48, 32, ["legacy"]),
    ("local_city", "pix2pixHD_local", dict(ngf=2, n_downsample_global=2, n_blocks_global=2, n_blocks_local=1, **CITY), 24, 40, []),
    ("local_two", "pix2pixHD_local", dict(ngf=1, n_downsample_global=1, n_blocks_global=1, n_local_enhancers=2, norm="batch"), 24, 40, ["views", "module"]),
    ("z", "pix2pixHD_z", dict(ngf=2, nz=3, n_downsample_global=2, n_blocks_global=1, norm="instance_tracked"), 12, 20, ["legacy"]),
    ("z_batch", "pix2pixHD_z", dict(input_nc=3, ngf=2, nz=2, n_downsample_global=1, n_blocks_global=2, norm="batch"), 12, 20, ["half"]),
    ("encoder", "pix2pixHD_encoder", dict(nef=2, n_downsample_E=3), 24, 40, []),
    ("encoder_batch", "pix2pixHD_encoder", dict(nef=2, n_downsample_E=1, feat_num=5, norm="batch"), 12, 20, ["uncounted"]),
    ("unet", "unet", dict(ngf=2, num_downs=5, norm="batch"), 32, 64, ["legacy", "uncounted"]),
    ("unet_gray", "unet", dict(ngf=2, num_downs=6, norm="instance", input_nc=1, output_nc=2), 64, 64, ["views"]),
    ("unet_running", "unet", dict(ngf=2, num_downs=5, norm="batch", norm_stats="running"), 32, 32, ["half"]),
    ("resnet", "resnet", dict(ngf=2, n_blocks=9, norm="instance_tracked"), 20, 28, ["legacy"]),
    ("resnet_drop", "resnet", dict(ngf=2, n_blocks=6, norm="batch", dropout=True), 12, 20, ["views"]),
    ("resnet_running", "resnet", dict(ngf=2, n_blocks=1, norm="batch", norm_stats="running"), 12, 12, ["double"]),
    ("patchgan", "patchgan", dict(ndf=2), 37, 45, []),
    ("patchgan_instance", "patchgan", dict(ndf=2, n_layers_D=2, norm="instance"), 21, 18, ["legacy", "views"]),
    ("multiscale", "multiscale", dict(input_nc=5, ndf=2, num_D=3), 37, 45, ["module"]),
    ("multiscale_flat", "multiscale", dict(input_nc=5, ndf=2, n_layers_D=2, norm="batch", no_ganFeat_loss=True), 21, 18, ["brain"]),
    ("multiscale_wide", "multiscale", dict(input_nc=5, ndf=2, n_layers_D=1, norm="batch", ndf_doubles=True), 21, 18, ["legacy", "half"]),
]

TYPES = dict(half=torch.float16, brain=torch.bfloat16, double=torch.float64)
FILES = {"vid2vid": "G%d", "pix2pixHD_encoder": "E", "patchgan": "D", "multiscale": "D"}


def files(network, count):
    label = FILES.get(network, "G")
    return [f"latest_net_{label % s if '%' in label else label}.pth" for s in range(count)]


def built(network, options):
    made = nets.make(network, {k: v for k, v in options.items() if k != "norm_stats"})
    return made if isinstance(made, list) else [made]


def ready(scales, options):
    for net in scales:
        if hasattr(net, "model_final_flow"):  # motion of a few pixels, not of the whole picture
            net.model_final_flow[1].weight.data.mul_(1 / 64)
        net.eval() if options.get("norm_stats") == "running" else nets.frame_mode(net)


def viewed(state):
    """The same tensors as views of one storage: some in order, some transposed, every second one apart."""
    floats = [t for t in state.values() if t.is_floating_point()]
    pool = torch.zeros(2 * sum(t.numel() for t in floats) + 1)
    at, out = 1, OrderedDict()
    for i, (k, t) in enumerate(state.items()):
        if not t.is_floating_point():
            out[k] = t
            continue
        step = 1 + i % 2
        v = pool[at:at + step * t.numel():step]
        v = v.view(t.shape[::-1]).permute(*reversed(range(t.dim()))) if i % 3 == 2 else v.view(t.shape)
        v.copy_(t)
        at += step * t.numel()
        out[k] = v
    return out


def save(path, state, how):
    for name, t in TYPES.items():
        if name in how:
            state = OrderedDict((k, v.to(t) if v.is_floating_point() else v) for k, v in state.items())
    if "views" in how:
        state = viewed(state)
    if "uncounted" in how:
        state = OrderedDict((k, v) for k, v in state.items() if "num_batches" not in k)
    if "module" in how:
        state = OrderedDict(("module." + k, v) for k, v in state.items())
    torch.save(state, path, _use_new_zipfile_serialization="legacy" not in how)


def inputs(network, options, h, w, seed):
    g, o = torch.Generator().manual_seed(seed), nets.complete(network, options)
    rand = lambda c, h=h, w=w: torch.rand(1, c, h, w, generator=g) * 2 - 1
    see = nets.channels(o) if "label_nc" in o else o["input_nc"]
    frames = o.get("n_frames", 1)
    if o.get("label_nc"):
        ids = [torch.randint(0, o["label_nc"], (1, h, w), generator=g) for _ in range(frames)]
        x = dict(labels=torch.cat([nets.one_hot(i, o) for i in ids], 1))
    else:
        x = dict(labels=rand(see * frames))
    if network == "vid2vid":
        for level in range(o["n_scales_spatial"]):
            x["prev" + (f".{level}" if level else "")] = rand(3 * frames - 3, h >> level, w >> level)
    if network == "pix2pixHD_z":
        x["features"] = rand(o["nz"])
    return x


def outputs(network, scales, x):
    with torch.no_grad():
        if network != "vid2vid":
            out = scales[0](*[x[k] for k in ("labels", "features") if k in x])
            return {f"score{i}": s for i, s in enumerate(out)} if isinstance(out, list) else \
                {"score0" if network == "patchgan" else "final": out}
        labels, out = [x["labels"]], None
        for _ in scales[1:]:
            labels.append(nets.pool(labels[-1]))
        for s, net in enumerate(scales):
            level = len(scales) - 1 - s
            out = net(labels[level], x["prev" + (f".{level}" if level else "")], out)
        return {"final": out["final"]}


def joined(scales):
    """The weights of all scales by their names in a model, as float32."""
    return {("" if s == 0 else f"netG{s}.") + k: v for s, net in enumerate(scales) for k, v in net.state_dict().items()}


def make(out):
    told = []
    for seed, (name, network, options, h, w, how) in enumerate(CASES):
        os.mkdir(os.path.join(out, name))
        scales = built(network, options)
        for s, net in enumerate(scales):
            nets.start(net, 10 * seed + s)
            if "brain" in how:
                for p in net.state_dict().values():
                    p.copy_(p.bfloat16())
        ready(scales, options)
        paths = files(network, len(scales))
        for net, path in zip(scales, paths):
            save(os.path.join(out, name, path), net.state_dict(), how)
        x = inputs(network, options, h, w, seed)
        golden = {"in." + k: v for k, v in x.items()}
        golden.update({"out." + k: v for k, v in outputs(network, scales, x).items()})
        golden.update({"state." + k: v for k, v in joined(scales).items() if v.is_floating_point()})
        safetensors.write(os.path.join(out, name + ".safetensors"), [(k, "F32", v.detach().contiguous().numpy()) for k, v in golden.items()], {})
        want = nets.complete(network, options)
        want["norm"] = want["norm"].replace("_tracked", "")
        if not want.get("fg", True):
            want.pop("fg_labels")
        folder = FILES.get(network, "G") in ("G", "G%d")
        told.append(dict(name=name, network=network, options=want, path=name if folder else os.path.join(name, paths[0])))
    with open(os.path.join(out, "cases.json"), "w") as f:
        json.dump(told, f)


def check(out):
    for seed, (name, network, options, h, w, how) in enumerate(CASES):
        scales = built(network, options)
        paths = files(network, len(scales))
        for net, path in zip(scales, paths):
            net.load_state_dict(torch.load(os.path.join(out, name, "export", path)), strict=True)
        ready([], options)
        for net in scales:
            net.eval() if options.get("norm_stats") == "running" else nets.frame_mode(net)
        old = built(network, options)
        for net, path in zip(old, paths):
            state = torch.load(os.path.join(out, name, path))
            state = {k[7:] if "module" in how else k: v for k, v in state.items()}
            missing, extra = net.load_state_dict(state, strict=False)
            assert not extra and all("num_batches" in k for k in missing), (name, missing, extra)
            net.eval() if options.get("norm_stats") == "running" else nets.frame_mode(net)
        for (k, a), b in zip(joined(scales).items(), joined(old).values()):
            if "running" in k and options.get("norm_stats") != "running":
                assert (a == float(k.endswith("var"))).all(), (name, k)
            elif "num_batches" not in k:
                assert torch.equal(a, b), (name, k)
        x = inputs(network, options, h, w, seed)
        ours, theirs = outputs(network, scales, x), outputs(network, old, x)
        for k in theirs:
            assert torch.equal(ours[k], theirs[k]), (name, k)
        print(name)


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](sys.argv[2])

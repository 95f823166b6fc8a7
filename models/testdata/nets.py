"""Torch modules of the networks in ../, with the module names of the published checkpoints.

Written from descriptions of the architectures, to compare with. Meant to be imported:

  net = make("unet", dict(input_nc=3, output_nc=3, ngf=8, num_downs=8, norm="batch"))
  start(net, seed=1)                 # weights, gamma and beta, stored statistics; normal numbers of float16
  frame_mode(net)                    # each frame's own statistics, nothing dropped; net.eval() for stored ones
  net.load_state_dict(..., strict=True)

make takes the name and the options of a model file (missing ones as published) and gives the module; for
vid2vid a list of modules, netG0 first, which Rollout runs recurrently. Norms: "batch", "instance", and
"instance_tracked" for the files of 2018 that hold buffers which nobody reads.

Debian's python3-torch: /usr/bin/python3.
"""
import torch
from torch import nn
from torch.nn import functional as F

pool = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)


def norm(kind, c):
    if kind == "batch":
        return nn.BatchNorm2d(c)
    return nn.InstanceNorm2d(c, track_running_stats=kind == "instance_tracked")


class Kit:
    """Layers that share a normalisation: lists to be put into a Sequential."""

    def __init__(self, kind, bias=True, dropout=False):
        self.kind, self.bias, self.dropout = kind, bias, dropout

    def after(self, c):
        return [norm(self.kind, c), nn.ReLU()]

    def stem(self, cin, c):
        return [nn.ReflectionPad2d(3), nn.Conv2d(cin, c, 7, bias=self.bias), *self.after(c)]

    def down(self, cin, c):
        return [nn.Conv2d(cin, c, 3, stride=2, padding=1, bias=self.bias), *self.after(c)]

    def up(self, cin, c):
        return [nn.ConvTranspose2d(cin, c, 3, stride=2, padding=1, output_padding=1, bias=self.bias), *self.after(c)]

    def downs(self, cin, c, d):
        return self.stem(cin, c) + [m for i in range(d) for m in self.down(c << i, c << i + 1)]

    def ups(self, c, d, first=0):
        """d doublings that end with c channels; first has more than c * 2**d."""
        return [m for i in range(d) for m in self.up((c << d - i) + (first if i == 0 else 0), c << d - i - 1)]

    def res(self, c, n):
        return [Residual(self, c) for _ in range(n)]


def head(cin, c, *act):
    return [nn.ReflectionPad2d(3), nn.Conv2d(cin, c, 7), *act]


class Residual(nn.Module):
    def __init__(self, kit, c):
        super().__init__()
        conv = lambda: [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=kit.bias), norm(kit.kind, c)]
        drop = [nn.Dropout(0.5)] if kit.dropout else []
        self.conv_block = nn.Sequential(*conv(), nn.ReLU(), *drop, *conv())

    def forward(self, x):
        return x + self.conv_block(x)


class Plain(nn.Module):
    """A network that is one Sequential named model."""

    def __init__(self, layers):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


def resnet(o):
    kit = Kit(o["norm"], bias=o["norm"] != "batch", dropout=o["dropout"])
    c = o["ngf"]
    return Plain(kit.downs(o["input_nc"], c, 2) + kit.res(c << 2, o["n_blocks"]) + kit.ups(c, 2) + head(c, o["output_nc"], nn.Tanh()))


class Level(nn.Module):
    """A level of a U-Net around the next one, inside."""

    def __init__(self, o, cin, c, cout, inside, outermost=False, dropout=False):
        super().__init__()
        bias = o["norm"] != "batch"
        down = nn.Conv2d(cin, c, 4, stride=2, padding=1, bias=bias)
        up = nn.ConvTranspose2d(2 * c if inside else c, cout, 4, stride=2, padding=1, bias=bias or outermost)
        self.outermost = outermost
        if outermost:
            layers = [down, inside, nn.ReLU(), up, nn.Tanh()]
        elif inside:
            layers = [nn.LeakyReLU(0.2), down, norm(o["norm"], c), inside, nn.ReLU(), up, norm(o["norm"], cout)]
        else:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm(o["norm"], cout)]
        self.model = nn.Sequential(*layers, *([nn.Dropout(0.5)] if dropout else []))

    def forward(self, x):
        y = self.model(x)
        return y if self.outermost else torch.cat([x, y], 1)


def unet(o):
    c, n = o["ngf"], o["num_downs"]
    width = lambda k: c << min(k, 3)
    level = None
    for k in range(n - 1, 0, -1):
        level = Level(o, width(k - 1), width(k), width(k - 1), level, dropout=o["dropout"] and 4 <= k < n - 1)
    net = Plain([])
    net.model = Level(o, o["input_nc"], c, o["output_nc"], level, outermost=True)
    return net


def channels(o):
    return (o["label_nc"] or o["input_nc"]) + bool(o["use_instance"])


def body(kit, cin, c, d, n):
    return kit.downs(cin, c, d) + kit.res(c << d, n) + kit.ups(c, d)


def global_generator(o):
    kit, cin = Kit(o["norm"]), channels(o) + o["feat_num"]
    return Plain(body(kit, cin, o["ngf"], o["n_downsample_global"], o["n_blocks_global"]) + head(o["ngf"], o["output_nc"], nn.Tanh()))


class LocalEnhancer(nn.Module):
    def __init__(self, o):
        super().__init__()
        kit, cin, self.n = Kit(o["norm"]), channels(o) + o["feat_num"], o["n_local_enhancers"]
        self.model = nn.Sequential(*body(kit, cin, o["ngf"] << self.n, o["n_downsample_global"], o["n_blocks_global"]))
        for n in range(1, self.n + 1):
            c = o["ngf"] << self.n - n
            last = head(c, o["output_nc"], nn.Tanh()) if n == self.n else []
            setattr(self, f"model{n}_1", nn.Sequential(*kit.stem(cin, c), *kit.down(c, 2 * c)))
            setattr(self, f"model{n}_2", nn.Sequential(*kit.res(2 * c, o["n_blocks_local"]), *kit.up(2 * c, c), *last))

    def forward(self, x):
        levels = [x]
        for _ in range(self.n):
            levels.append(pool(levels[-1]))
        y = self.model(levels[-1])
        for n in range(1, self.n + 1):
            y = getattr(self, f"model{n}_2")(getattr(self, f"model{n}_1")(levels[self.n - n]) + y)
        return y


class GlobalZ(nn.Module):
    def __init__(self, o):
        super().__init__()
        kit, c, z, d = Kit(o["norm"]), o["ngf"], o["nz"], o["n_downsample_global"]
        self.d = d
        self.model_downsample = nn.Sequential(*kit.downs(channels(o) + z, c, d))
        self.model_resnet = nn.Sequential(*kit.res((c << d) + z, o["n_blocks_global"]))
        self.model_upsample = nn.Sequential(*kit.ups(c, d, first=2 * z))
        self.model_upsample_conv = nn.Sequential(*head(c + z, o["output_nc"], nn.Tanh()))

    def forward(self, x, z):
        small = z
        for _ in range(self.d):
            small = pool(small)
        y = self.model_downsample(torch.cat([x, z], 1))
        y = self.model_resnet(torch.cat([y, small], 1))
        y = self.model_upsample(torch.cat([y, small], 1))
        return self.model_upsample_conv(torch.cat([y, z], 1))


def encoder(o):
    kit, c, d = Kit(o["norm"]), o["nef"], o["n_downsample_E"]
    return Plain(kit.downs(o["input_nc"], c, d) + kit.ups(c, d) + head(c, o["feat_num"], nn.Tanh()))


def patches(cin, ndf, n, kind, pad, bias, most):
    """The layers of a patch discriminator, a list for each convolution and what follows it."""
    groups, c = [[nn.Conv2d(cin, ndf, 4, stride=2, padding=pad), nn.LeakyReLU(0.2)]], ndf
    for j in range(1, n + 1):
        wide = min(2 * c, most)
        conv = nn.Conv2d(c, wide, 4, stride=2 if j < n else 1, padding=pad, bias=bias)
        groups.append([conv, norm(kind, wide), nn.LeakyReLU(0.2)])
        c = wide
    return groups + [[nn.Conv2d(c, 1, 4, padding=pad)]]


def patchgan(o):
    groups = patches(o["input_nc"], o["ndf"], o["n_layers_D"], o["norm"], 1, o["norm"] != "batch", 8 * o["ndf"])
    return Plain([m for g in groups for m in g])


class Multiscale(nn.Module):
    """forward gives the logits, those of the full resolution first."""

    def __init__(self, o):
        super().__init__()
        self.n, self.layers, self.features = o["num_D"], o["n_layers_D"] + 2, not o["no_ganFeat_loss"]
        for i in range(self.n):
            ndf = min(64, o["ndf"] << self.n - 1 - i) if o["ndf_doubles"] else o["ndf"]
            groups = patches(o["input_nc"], ndf, o["n_layers_D"], o["norm"], 2, True, 512)
            if self.features:
                for j, g in enumerate(groups):
                    setattr(self, f"scale{i}_layer{j}", nn.Sequential(*g))
            else:
                setattr(self, f"layer{i}", nn.Sequential(*[m for g in groups for m in g]))

    def scale(self, i, x):
        if not self.features:
            return getattr(self, f"layer{i}")(x)
        for j in range(self.layers):
            x = getattr(self, f"scale{i}_layer{j}")(x)
        return x

    def forward(self, x):
        scores = []
        for i in reversed(range(self.n)):
            scores.append(self.scale(i, x))
            x = pool(x)
        return scores


def warp(image, flow):
    """Backward warp by a flow in pixels, bilinear, border clamped, corners aligned."""
    h, w = image.shape[2:]
    ys, xs = torch.meshgrid(torch.arange(h, dtype=flow.dtype), torch.arange(w, dtype=flow.dtype), indexing="ij")
    grid = torch.stack([(xs + flow[:, 0]) * 2 / (w - 1) - 1, (ys + flow[:, 1]) * 2 / (h - 1) - 1], -1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=True)


class Scale(nn.Module):
    """netG{s}: what the coarsest scale (s 0) and the local ones have in common."""

    def __init__(self, o, s):
        super().__init__()
        self.o, self.s = o, s
        self.kit, self.seen, self.past = Kit(o["norm"]), channels(o) * o["n_frames"], 3 * (o["n_frames"] - 1)

    def heads(self, c, fg):
        self.model_final_img = nn.Sequential(*head(c, 3, nn.Tanh()))
        if not self.o["no_flow"]:
            self.model_final_flow = nn.Sequential(*head(c, 2))
            self.model_final_w = nn.Sequential(*head(c, 1, nn.Sigmoid()))
        if self.o["fg"]:
            self.indv_final = nn.Sequential(*head(fg, 3, nn.Tanh()))

    def finish(self, labels, prev, img, flow, fg, raw_only):
        out = dict(img_feat=img, flow_feat=flow, fg_feat=fg, raw=self.model_final_img(img))
        out["final"] = out["raw"]
        if not self.o["no_flow"]:
            out["flow"] = self.model_final_flow(flow) * 20 * 2**self.s
            out["mask"] = self.model_final_w(flow)
            if not raw_only:
                out["final"] = out["raw"] * out["mask"] + warp(prev[:, -3:], out["flow"]) * (1 - out["mask"])
        if self.o["fg"]:
            now = labels[:, channels(self.o) * (self.o["n_frames"] - 1):]
            where = sum(now[:, i:i + 1] for i in self.o["fg_labels"]).clamp(0, 1)
            y = self.indv_final(fg)
            for k in ("final", "raw"):
                out[k] = y * where + out[k] * (1 - where)
        return out


class Composite(Scale):
    def __init__(self, o):
        super().__init__(o, 0)
        kit, c, d, n = self.kit, o["ngf"], o["n_downsample"], o["n_blocks"]
        fg = c // 2 if d > 2 else c
        for name, cin in (("seg", self.seen), ("img", self.past)):
            setattr(self, "model_down_" + name, nn.Sequential(*kit.downs(cin, c, d), *kit.res(c << d, n - n // 2)))
        for name in ["img"] + ["flow"] * (not o["no_flow"]):
            setattr(self, "model_res_" + name, nn.Sequential(*kit.res(c << d, n // 2)))
            setattr(self, "model_up_" + name, nn.Sequential(*kit.ups(c, d)))
        if o["fg"]:
            self.indv_down = nn.Sequential(*kit.downs(self.seen, fg, d))
            self.indv_res = nn.Sequential(*kit.res(fg << d, n))
            self.indv_up = nn.Sequential(*kit.ups(fg, d))
        self.heads(c, fg)

    def forward(self, labels, prev, coarse=None, raw_only=False):
        x = self.model_down_seg(labels) + self.model_down_img(prev)
        img = self.model_up_img(self.model_res_img(x))
        flow = None if self.o["no_flow"] else self.model_up_flow(self.model_res_flow(x))
        fg = self.indv_up(self.indv_res(self.indv_down(labels))) if self.o["fg"] else None
        return self.finish(labels, prev, img, flow, fg, raw_only)


class CompositeLocal(Scale):
    def __init__(self, o, s):
        super().__init__(o, s)
        kit, c, n = self.kit, o["ngf"] >> s, o["n_blocks_local"] or 3
        fg = c // 2 if o["n_downsample"] > 2 else c
        down = lambda cin, c: nn.Sequential(*kit.stem(cin, c), *kit.down(c, 2 * c))
        up = lambda c: nn.Sequential(*kit.res(2 * c, n), *kit.up(2 * c, c))
        self.model_down_seg, self.model_down_img = down(self.seen, c), down(self.past, c)
        self.model_up_img = up(c)
        if not o["no_flow"]:
            self.model_up_flow = up(c)
        if o["fg"]:
            self.indv_down, self.indv_up = down(self.seen, fg), up(fg)
        self.heads(c, fg)

    def forward(self, labels, prev, coarse, raw_only=False):
        x = self.model_down_seg(labels) + self.model_down_img(prev)
        img = self.model_up_img(x + coarse["img_feat"])
        flow = None if self.o["no_flow"] else self.model_up_flow(x + coarse["flow_feat"])
        fg = self.indv_up(self.indv_down(labels) + coarse["fg_feat"]) if self.o["fg"] else None
        return self.finish(labels, prev, img, flow, fg, raw_only)


def vid2vid(o):
    return [Composite(o)] + [CompositeLocal(o, s) for s in range(1, o["n_scales_spatial"] or 1)]


def one_hot(ids, o):
    """Channels of index pictures (1,h,w): one a label, and with use_instance the boundaries."""
    x = [F.one_hot(ids.long(), o["label_nc"]).permute(0, 3, 1, 2).float()]
    if o["use_instance"]:
        edge = torch.zeros(ids.shape, dtype=torch.bool)
        across, down = ids[:, :, 1:] != ids[:, :, :-1], ids[:, 1:] != ids[:, :-1]
        edge[:, :, 1:] |= across
        edge[:, :, :-1] |= across
        edge[:, 1:] |= down
        edge[:, :-1] |= down
        x.append(edge[:, None].float())
    return torch.cat(x, 1)


class Rollout:
    """Runs the scales of a vid2vid folder recurrently. Every scale remembers what it made itself.

    Without a first picture (1,3,h,w) there is nothing to warp at the first frame, which is hallucinated whole.
    """

    def __init__(self, nets, o, h, w, first=None):
        self.nets, self.o, self.started = nets, o, first is not None
        level = torch.zeros(1, 3, h, w) if first is None else first
        self.prev = []  # by level, finest first
        for _ in nets:
            self.prev.append([level] * (o["n_frames"] - 1))
            level = pool(level)
        self.window = []

    def step(self, picture):
        """One frame: picture (1,C,h,w) are the channels of a control picture."""
        n = self.o["n_frames"]
        self.window = (self.window or [picture] * (n - 1))[-(n - 1):] + [picture]
        labels = [torch.cat(self.window, 1)]
        for _ in self.nets[1:]:
            labels.append(pool(labels[-1]))
        out = None
        for s, net in enumerate(self.nets):
            level = len(self.nets) - 1 - s
            out = net(labels[level], torch.cat(self.prev[level], 1), out, raw_only=not self.started)
            self.prev[level] = self.prev[level][1:] + [out["final"]]
        self.started = True
        return out


defaults = {
    "vid2vid": (vid2vid, dict(input_nc=3, ngf=128, n_downsample=3, n_blocks=9, n_frames=3, norm="batch", no_flow=False, n_scales_spatial=1,
                              n_blocks_local=3, fg=False, fg_labels=[26], label_nc=0, use_instance=False)),
    "pix2pixHD_global": (global_generator, dict(input_nc=3, output_nc=3, ngf=64, n_downsample_global=4, n_blocks_global=9, norm="instance",
                                                label_nc=0, use_instance=False, feat_num=0)),
    "pix2pixHD_local": (LocalEnhancer, dict(input_nc=3, output_nc=3, ngf=32, n_downsample_global=4, n_blocks_global=9, norm="instance",
                                            label_nc=0, use_instance=False, feat_num=0, n_local_enhancers=1, n_blocks_local=3)),
    "pix2pixHD_z": (GlobalZ, dict(input_nc=15, output_nc=3, nz=16, ngf=64, n_downsample_global=3, n_blocks_global=9, norm="instance",
                                  label_nc=0, use_instance=False)),
    "pix2pixHD_encoder": (encoder, dict(input_nc=3, feat_num=3, nef=16, n_downsample_E=4, norm="instance")),
    "unet": (unet, dict(input_nc=3, output_nc=3, ngf=64, num_downs=8, norm="batch", dropout=True)),
    "resnet": (resnet, dict(input_nc=3, output_nc=3, ngf=64, n_blocks=9, norm="instance", dropout=False)),
    "patchgan": (patchgan, dict(input_nc=6, ndf=64, n_layers_D=3, norm="batch")),
    "multiscale": (Multiscale, dict(input_nc=39, ndf=64, n_layers_D=3, num_D=2, norm="instance", no_ganFeat_loss=False, ndf_doubles=False)),
}


def complete(name, options):
    """The options with what they leave out as published."""
    known = defaults[name][1]
    unknown = set(options) - set(known) - {"norm_stats"}
    if unknown:
        raise ValueError(f"{name} has no options {unknown}")
    return {**known, **options}


def make(name, options):
    return defaults[name][0](complete(name, options))


def half(t):
    """t in float16's normal numbers, and zero."""
    return torch.where(t.abs() < 2**-14, torch.zeros(()), t).half().float()


def start(net, seed):
    """Random parameters that keep activations of about one."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda t, mean, std: t.copy_(half(torch.randn(t.shape, generator=g) * std + mean))
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                reach = m.in_channels * m.kernel_size[0] * m.kernel_size[1]
                if isinstance(m, nn.ConvTranspose2d):
                    reach /= m.stride[0] * m.stride[1]
                rand(m.weight, 0, reach**-0.5)
                if m.bias is not None:
                    rand(m.bias, 0, 0.1)
            elif isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d)):
                if m.affine:
                    rand(m.weight, 1, 0.1)
                    rand(m.bias, 0, 0.1)
                if m.running_mean is not None:
                    rand(m.running_mean, 0, 0.2)
                    m.running_var.copy_(half(torch.rand(m.running_var.shape, generator=g) + 0.5))
    return net


def frame_mode(net):
    """As the published code runs: the statistics of the frame; but dropout drops nothing."""
    net.train()
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.eval()
    return net

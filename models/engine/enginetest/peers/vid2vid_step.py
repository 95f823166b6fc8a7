"""Times one full vid2vid training step in PyTorch: G, D and D_T with all losses and Adam, as `v2v bench --step` takes it.

  vid2vid_step.py --ngf 32 --size 128x128 --threads 2 -n 5     milliseconds a step and memory, plain and channels_last

The generator's and the discriminators' losses share the features of the real frames; each optimiser's gradients
are taken for its own weights alone. Needs only Debian's python3-torch; run it with /usr/bin/python3.
"""
import argparse
import os
import resource
import sys

import torch
from torch.nn import functional as F

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "..", "testdata"))
import nets  # noqa: E402
from composite import median_ms  # noqa: E402


def levels(net, x):
    """The features of every layer, scales from the finest."""
    out = []
    for i in reversed(range(net.n)):
        y, layers = x, []
        for j in range(net.layers):
            y = getattr(net, f"scale{i}_layer{j}")(y)
            layers.append(y)
        out.append(layers)
        x = nets.pool(x)
    return out


def gan(verdict, target):
    return sum(((layers[-1] - target) ** 2).mean() for layers in verdict)


def matched(fake, real):
    return sum(F.l1_loss(a, b.detach()) * 4 / (len(f) - 1) / len(fake) for f, r in zip(fake, real) for a, b in zip(f[:-1], r[:-1]))


class Step:
    def __init__(self, ngf, h, w, layout, ndf=None, blocks=6, adam={}):
        o = nets.complete("vid2vid", dict(ngf=ngf, n_blocks=blocks))
        d = dict(ndf=ndf or ngf, n_layers_D=3, num_D=2, norm="instance", no_ganFeat_loss=False, ndf_doubles=False)
        self.g = nets.vid2vid(o)[0]
        self.d, self.dt = (nets.make("multiscale", dict(d, input_nc=c)) for c in (6, 13))
        for net in (self.g, self.d, self.dt):
            nets.start(net, 1)
            net.train().to(memory_format=layout)
        self.of_g = list(self.g.parameters())
        self.of_d = list(self.d.parameters()) + list(self.dt.parameters())
        self.adam_g, self.adam_d = (torch.optim.Adam(p, 2e-4, (0.5, 0.999), **adam) for p in (self.of_g, self.of_d))
        picture = lambda c, by=1: ((torch.rand(1, c, h, w) * 2 - 1) * by).contiguous(memory_format=layout)
        self.labels, self.fakes, self.reals, self.real = picture(9), picture(6), picture(6), picture(3)
        self.flow, self.flowprev, self.seen = picture(2, 2), picture(2, 2), (picture(1) > -0.5).float()

    def losses(self):
        out = self.g(self.labels, self.fakes)
        now, seen, flows = self.labels[:, -3:], self.seen, [self.flowprev / 20, self.flow / 20]
        of_g = of_d = 0
        of_real = levels(self.d, torch.cat([now, self.real], 1))
        for p in (out["final"], out["raw"]):
            fake = levels(self.d, torch.cat([now, p], 1))
            of_g = of_g + 10 * F.l1_loss(p, self.real) + gan(fake, 1) + 10 * matched(fake, of_real)
            of_d = of_d + 0.5 * gan(levels(self.d, torch.cat([now, p.detach()], 1)), 0) + 0.5 * gan(of_real, 1)
        of_g = of_g + 5 * F.l1_loss(out["flow"] * seen, self.flow * seen)
        of_g = of_g + 10 * F.l1_loss(nets.warp(self.reals[:, -3:], out["flow"]) * seen, self.real * seen)
        of_g = of_g + 10 * F.l1_loss(out["final"] * seen, nets.warp(self.fakes[:, -3:], self.flow) * seen) + (out["mask"] * seen).abs().mean()
        fake = levels(self.dt, torch.cat([self.fakes, out["final"]] + flows, 1))
        of_real = levels(self.dt, torch.cat([self.reals, self.real] + flows, 1))
        of_g = of_g + gan(fake, 1) + 10 * matched(fake, of_real)
        made = levels(self.dt, torch.cat([self.fakes, out["final"].detach()] + flows, 1))
        return of_g, of_d + 0.5 * gan(made, 0) + 0.5 * gan(of_real, 1)

    def __call__(self):
        of_g, of_d = self.losses()
        for loss, params, adam in ((of_g, self.of_g, self.adam_g), (of_d, self.of_d, self.adam_d)):
            for p, grad in zip(params, torch.autograd.grad(loss, params, retain_graph=loss is of_g, allow_unused=True)):
                p.grad = grad
            adam.step()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--ngf", type=int, default=32)
    p.add_argument("--size", default="128x128", help="height x width")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("-n", type=int, default=5)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    for layout in (torch.contiguous_format, torch.channels_last):
        ms = median_ms(Step(a.ngf, *map(int, a.size.split("x")), layout), a.n)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(f"torch {torch.__version__} {str(layout)[6:]:18} {ms:9.1f} ms/step peak {peak:.0f} MB")


if __name__ == "__main__":
    main()

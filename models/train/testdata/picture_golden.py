"""Makes picture_*.safetensors: one training step of each picture network, as PyTorch takes it.

  /usr/bin/python3 models/train/testdata/picture_golden.py        (Debian's python3-torch)

A file holds the weights before the step (w/NAME), the inputs (in/NAME) and the gradients (g/NAME); losses and the
configuration are in the metadata.
"""
import json
import os
import struct

import torch
from torch import nn
from torch.nn.utils import spectral_norm
from torch.nn import functional as F

here = os.path.dirname(os.path.abspath(__file__))
SIZE, CODE, BATCH, WIDTH = 16, 5, 4, 4


def write(name, tensors, meta):
    header, at = {"__metadata__": {"golden": json.dumps(meta)}}, 0
    for k, t in tensors.items():
        n = t.numel() * 4
        header[k] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + n]}
        at += n
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(os.path.join(here, f"picture_{name}.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for t in tensors.values():
            f.write(t.detach().contiguous().numpy().astype("<f4").tobytes())


def prefixed(prefix, tensors):
    return {prefix + k: v for k, v in tensors.items()}


def weights(net):
    return {k: v.detach().clone() for k, v in net.named_parameters()}


def grads(net, loss):
    names, params = zip(*net.named_parameters())
    return dict(zip(names, torch.autograd.grad(loss, params)))


def real_pictures():
    pix = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3)).float()
    return pix, pix.permute(0, 3, 1, 2) / 127.5 - 1


class Generator(nn.Module):
    """DCGAN's, as in PyTorch's examples."""
    def __init__(self, inputs):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(inputs, 2 * WIDTH, 4, 1, 0, bias=False), nn.BatchNorm2d(2 * WIDTH), nn.ReLU(),
            nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, 2, 1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(),
            nn.ConvTranspose2d(WIDTH, 3, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self, inputs, norm):
        super().__init__()
        middle = [nn.BatchNorm2d(2 * WIDTH)] if norm == "batch" else []
        self.main = nn.Sequential(
            nn.Conv2d(inputs, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
            nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1, bias=False), *middle, nn.LeakyReLU(0.2),
            nn.Conv2d(2 * WIDTH, 1, 4, 1, 0, bias=False))

    def forward(self, x, hot=None):
        if hot is not None:
            x = torch.cat([x, hot.expand(-1, -1, SIZE, SIZE)], 1)
        return self.main(x)


def loosen(net):
    """Weights of a size at which nothing saturates and nothing is zero."""
    for p in net.parameters():
        p.data = torch.randn_like(p) * 0.3 + (1.0 if p.dim() == 1 else 0.0)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.bias.data = torch.randn_like(m.bias) * 0.3


def changes():
    """Random changes of DiffAugment, as the inputs of the step."""
    jitter = torch.stack([torch.rand(BATCH) - 0.5, torch.rand(BATCH) * 2, torch.rand(BATCH) + 0.5], 1)
    move = torch.randint(-2, 3, (BATCH, 2))  # dx, dy
    hole = torch.randint(0, SIZE // 2, (BATCH, 2))
    shift = move.float().reshape(BATCH, 2, 1, 1).expand(-1, -1, SIZE, SIZE)
    mask = torch.ones(BATCH, 1, SIZE, SIZE)
    for i in range(BATCH):
        x, y = hole[i]
        mask[i, 0, y:y + SIZE // 2, x:x + SIZE // 2] = 0
        dx, dy = move[i]
        ok = torch.zeros(SIZE, SIZE)
        ok[max(0, -dy):SIZE - max(0, dy), max(0, -dx):SIZE - max(0, dx)] = 1
        mask[i, 0] *= ok
    return dict(jitter=jitter, shift=shift, mask=mask), (jitter, move, mask)


def changed(x, how):
    if how is None:
        return x
    jitter, move, mask = how
    j = jitter.reshape(BATCH, 3, 1, 1, 1)
    x = x + j[:, 0]
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * j[:, 1] + mean
    mean = x.mean([1, 2, 3], keepdim=True)
    x = (x - mean) * j[:, 2] + mean
    padded = F.pad(x, [2, 2, 2, 2])
    x = torch.stack([padded[i, :, 2 + dy:2 + dy + SIZE, 2 + dx:2 + dx + SIZE] for i, (dx, dy) in enumerate(move)])
    return x * mask


def gan(name, seed, loss, label=1.0, norm="batch", spectral=False, augment=False, r1=0.0, classes=0):
    torch.manual_seed(seed)
    g, d = Generator(CODE + classes), Discriminator(3 + classes, norm)
    loosen(g), loosen(d)
    out = {**prefixed("w/", weights(g)), **prefixed("w/D.", weights(d))}
    bytes_, real = real_pictures()
    z = torch.randn(BATCH, CODE, 1, 1)
    out.update({"in/real": bytes_, "in/code": z})
    hot = real_hot = None
    if classes:
        hot, real_hot = (F.one_hot(torch.randint(0, classes, (BATCH,)), classes).float().reshape(BATCH, classes, 1, 1) for _ in range(2))
        out.update({"in/class": hot, "in/real_class": real_hot})
        z = torch.cat([z, hot], 1)
    how = dict(made=None, fake=None, real=None)
    if augment:
        for k in how:
            inputs, how[k] = changes()
            out.update(prefixed(f"in/{k}.", inputs))
    if spectral:
        for i, m in list(d.main.named_children()):
            if isinstance(m, nn.Conv2d):
                w = m.weight.data.flatten(1)
                v = F.normalize(torch.randn(w.shape[1]), dim=0)
                out[f"w/D.main.{i}.weight_v"] = v
                spectral_norm(m)
                m.weight_u.data, m.weight_v.data = F.normalize(w @ v, dim=0), v.clone()
        d.eval()  # the generator's step takes the direction as it is
        assert norm == "none"

    fake = g(z)
    verdict = d(changed(fake, how["made"]), hot)
    g_loss = {"bce": lambda: F.binary_cross_entropy_with_logits(verdict, torch.ones_like(verdict)),
              "lsgan": lambda: ((verdict - 1) ** 2).mean(), "hinge": lambda: -verdict.mean()}[loss]()
    out.update(prefixed("g/", grads(g, g_loss)))

    d.train()
    of_real = d(changed(real, how["real"]), real_hot)
    if spectral:
        d.eval()  # one improvement a step
    of_fake = d(changed(fake.detach(), how["fake"]), hot)
    if loss == "bce":
        d_real = F.binary_cross_entropy_with_logits(of_real, torch.full_like(of_real, label))
        d_fake = F.binary_cross_entropy_with_logits(of_fake, torch.zeros_like(of_fake))
    elif loss == "lsgan":
        d_real, d_fake = 0.5 * ((of_real - label) ** 2).mean(), 0.5 * (of_fake ** 2).mean()
    else:
        d_real, d_fake = F.relu(1 - of_real).mean(), F.relu(1 + of_fake).mean()
    losses = dict(G=g_loss.item(), D_real=d_real.item(), D_fake=d_fake.item())
    total = d_real + d_fake
    if r1:
        x = real.clone().requires_grad_(True)
        slope, = torch.autograd.grad(d(x, real_hot).sum(), x, create_graph=True)
        square = slope.flatten(1).square().sum(1).mean()
        losses["R1"] = square.item()
        total = total + r1 / 2 * square
    of_d = grads(d, total)
    out.update({"g/D." + k.replace("_orig", ""): v for k, v in of_d.items()})
    acc = ((of_real > (0.5 if loss == "lsgan" else 0)).float().mean() + (of_fake <= (0.5 if loss == "lsgan" else 0)).float().mean()) / 2
    write(name, out, dict(losses=losses, accuracy=acc.item(), loss=loss, label=label, norm=norm, spectral=spectral, r1=r1,
                          augment=["color", "translation", "cutout"] if augment else [], classes=classes))


class Unflatten(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(-1, *self.shape)


def regression(name, seed, model, loss):
    torch.manual_seed(seed)
    images = 6
    codes = nn.Embedding(images, CODE)
    loosen(model)
    bytes_, real = real_pictures()
    index = torch.tensor([2, 0, 2, 5])
    out = {**prefixed("w/model.", weights(model)), "w/codes.weight": codes.weight.detach().clone(),
           "in/real": bytes_, "in/index": index.float()}
    made = model(codes(index)).reshape(BATCH, 3, SIZE, SIZE)
    error = F.mse_loss(made, real) if loss == "l2" else F.l1_loss(made, real)
    g = torch.autograd.grad(error, [*model.parameters(), codes.weight])
    names = ["model." + n for n, _ in model.named_parameters()] + ["codes.weight"]
    out.update({"g/" + n: x for n, x in zip(names, g)})
    write(name, out, dict(losses={loss.upper(): error.item()}, loss=loss))


if __name__ == "__main__":
    gan("bce", 1, "bce", label=0.9, augment=True)
    gan("lsgan", 2, "lsgan", classes=2)
    gan("hinge", 3, "hinge", norm="none", spectral=True)
    gan("r1", 4, "bce", norm="none", r1=10.0)
    n = 3 * SIZE * SIZE
    regression("perceptron", 5, nn.Sequential(nn.Linear(CODE, n), nn.Tanh()), "l2")
    regression("mlp", 6, nn.Sequential(nn.Linear(CODE, 8), nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.LeakyReLU(0.2), nn.Linear(8, n), nn.Tanh()), "l1")
    up = lambda: nn.Upsample(scale_factor=2, mode="nearest")
    deconv = nn.Sequential()
    for k, m in [("0", nn.Linear(CODE, 16 * 2 * WIDTH)), ("a", Unflatten(2 * WIDTH, 4, 4)), ("1", nn.BatchNorm2d(2 * WIDTH)), ("b", nn.LeakyReLU(0.2)),
                 ("c", up()), ("2", nn.Conv2d(2 * WIDTH, WIDTH, 3, 1, 1, bias=False)), ("3", nn.BatchNorm2d(WIDTH)), ("d", nn.LeakyReLU(0.2)),
                 ("e", up()), ("4", nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, bias=False)), ("5", nn.BatchNorm2d(WIDTH)), ("f", nn.LeakyReLU(0.2)),
                 ("6", nn.Conv2d(WIDTH, 3, 3, 1, 1)), ("g", nn.Tanh())]:
        deconv.add_module(k, m)
    regression("deconv", 7, deconv, "l2")

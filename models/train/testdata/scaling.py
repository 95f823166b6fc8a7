"""Writes scaling.json: sizes by the published formulas, in Python's own rounding,
and a picture resized by Pillow (python3-pil)."""
import itertools, json
from PIL import Image

def x32(n): return int(round(n / 32.0)) * 32

def whole(mode, w, h, n):
    nw, nh = w, h
    if 'resize' in mode: nw = nh = n
    elif 'scaleWidth' in mode or 'randomScaleWidth' in mode: nw, nh = n, n * h // w
    elif 'scaleHeight' in mode or 'randomScaleHeight' in mode: nw, nh = n * w // h, n
    nw, nh = int(round(nw / 4)) * 4, int(round(nh / 4)) * 4
    if 'crop' not in mode and 'scaledCrop' not in mode: nw, nh = x32(nw), x32(nh)
    return nw, nh

def sample(mode, w, h, load, fine):
    if 'crop' in mode: return x32(fine), x32(fine)
    if 'scaledCrop' not in mode: return whole(mode, w, h, load)
    if 'Width' in mode: return x32(fine), x32(fine * h // w)
    return x32(fine * w // h), x32(fine)

modes = ['scaleWidth', 'scaleHeight', 'resize', 'crop', 'scaledCrop', 'resize_and_crop', 'none',
         'randomScaleWidth_and_crop', 'randomScaleHeight_and_crop', 'randomScaleWidth_and_scaledCrop',
         'randomScaleHeight_and_scaledCrop', 'scaleWidth_and_crop', 'scaleHeight_and_scaledCrop']
rows = []
for mode, (w, h), (load, fine) in itertools.product(modes, [(2048, 1024), (1280, 720), (769, 577), (330, 486)], [(512, 256), (400, 240), (334, 302)]):
    n = (load + fine) // 2 if mode.startswith('random') else load
    rows.append(dict(mode=mode, w=w, h=h, load=load, fine=fine, n=n, whole=whole(mode, w, h, n), sample=sample(mode, w, h, load, fine)))

src = Image.new('RGB', (45, 34))
src.putdata([((x * 37 + y * 11) % 256, 255 if (x // 5 + y // 4) % 2 else 0, x * 5 + y) for y in range(34) for x in range(45)])
pics = [dict(w=w, h=h, pix=list(src.resize((w, h), Image.BICUBIC).tobytes())) for w, h in [(20, 12), (64, 40)]]
near = [dict(w=w, h=h, pix=list(src.resize((w, h), Image.NEAREST).tobytes())) for w, h in [(20, 12), (64, 40)]]
with open('scaling.json', 'w') as f:
    json.dump(dict(rows=rows, src=list(src.tobytes()), bicubic=pics, nearest=near), f, separators=(',', ':'))

package published

import (
	"strings"

	"github.com/v2v/v2v/models"
)

// unet reads the generator of pix2pix, level by level.
func (r *recogniser) unet() (string, models.Network, error) {
	u := &models.UNet{Levels: 1, Norm: r.norm("model.model.1.model.2")}
	u.NGF, u.InputNC, _ = r.conv("model.model.0")
	_, u.OutputNC, _ = r.conv("model.model.3")
	for {
		if _, _, ok := r.conv("model.model.1.model." + strings.Repeat("3.model.", u.Levels-1) + "1"); !ok {
			break
		}
		u.Levels++
	}
	u.Stats = r.stats(u.Norm)
	without := r.around.Options.flag("no_dropout")
	u.Dropout = without == nil || !*without
	r.dropped(u.Dropout)
	r.pictures()
	return "unet", u, nil
}

// dropped records that a network trained with dropout runs without: the
// published code goes on dropping at random unless it is told --eval.
func (r *recogniser) dropped(dropout bool) {
	if dropout {
		r.assume("dropout", "none when it runs", "")
	}
}

// patchgan reads the discriminator of pix2pix.
func (r *recogniser) patchgan() (string, models.Network, error) {
	d := &models.PatchGAN{Layers: r.run("model.%d", 2, 3) - 1, Norm: r.norm("model.3")}
	d.NDF, d.InputNC, _ = r.conv("model.0")
	d.Stats = r.stats(d.Norm)
	return "patchgan", d, nil
}

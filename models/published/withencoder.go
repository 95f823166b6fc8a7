package published

import (
	"fmt"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/weights"
)

// withEncoder takes the encoder in beside a generator into its model, where it
// is one that the generator was trained with. Clusters of features, which Python
// keeps in a pickled file of numpy, stay behind.
func (c *checkpoint) withEncoder(path string, done *Imported) error {
	var g *models.Global
	switch net := done.Net.(type) {
	case *models.Global:
		g = net
	case *models.Local:
		g = &net.Global
	}
	if path == "" || g == nil || g.FeatNC == 0 || g.LabelNC == 0 {
		return nil
	}
	beside := &checkpoint{tensors: map[string]tensor{}}
	defer beside.close()
	if err := beside.open(part{path: path}); err != nil {
		return err
	}
	found, err := Recognise(beside.shapes(), Surroundings{}, Choices{})
	e, ok := found.Net.(*models.Encoder)
	if err != nil || !ok || e.OutputNC != g.FeatNC || e.InputNC != g.OutputNC || e.Norm != g.Norm {
		return nil // of another network
	}
	g.NEF, g.DownsE = e.NEF, e.Downs
	if err := done.Net.Validate(); err != nil {
		return fmt.Errorf("importing %s: %w", path, err)
	}
	done.Files = append(done.Files, path)
	for i, a := range done.Assumed {
		if a.Option == "features" {
			done.Assumed[i].Value = "zeros, or a real picture's by --style-from"
		}
	}
	return c.open(part{path: path, prefix: models.EncoderPrefix})
}

// clusterless is what a model file says of clusters that nobody has.
func clusterless(name string, shape []int) (weights.Tensor, bool) {
	if name != models.ClusterTable && name != models.ClusterCounts {
		return weights.Tensor{}, false
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	return weights.Tensor{Name: name, Shape: shape, Data: make([]float32, n)}, true
}

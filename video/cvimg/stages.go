//go:build cgo

package cvimg

// newStage makes the kinds that need OpenCV.
func newStage(kind string, o Options) (stage, error) {
	switch kind {
	case "edges":
		return newEdges(o.Edges)
	case "mask":
		return newMask(o.Mask)
	default:
		return newQuant(o.Quant)
	}
}

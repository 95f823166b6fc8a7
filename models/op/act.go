package op

// ActKind names an activation whose derivative is a function of its output.
type ActKind uint8

// The activations.
const (
	ReLU ActKind = iota
	LeakyReLU
	Tanh
	Sigmoid
)

// Act applies an activation element by element. Slope is LeakyReLU's factor
// for negative inputs.
type Act struct {
	Kind  ActKind
	Slope float32
}

// ActGrad is the gradient of Act. Inputs: y (Act's output), gy.
type ActGrad struct {
	Kind  ActKind
	Slope float32
}

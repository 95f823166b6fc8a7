package op

// Concat joins N tensors along an axis.
type Concat struct{ Axis, N int }

// Slice takes [From,To) of an axis.
type Slice struct{ Axis, From, To int }

// Embed is the gradient of Slice: x placed at From of an axis of Total
// elements, zero elsewhere.
type Embed struct{ Axis, From, Total int }

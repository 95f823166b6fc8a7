// Package op holds v2v's symbolic operators. Each is a small struct, a Spec,
// whose fields are its parameters; wrapped in Op it is an operator of
// gorgonia's expression graph, with shape inference, a hash over every field,
// and symbolic differentiation. The plain-Go Do of a Spec is the definition of
// right that every device is tested against.
//
// Activations are (N,C,H,W) float32, images in [-1,1], flows in pixels with x
// first. Convolution weights are (O,I,KH,KW), transposed convolution weights
// (I,O,KH,KW), as PyTorch writes them. Losses are scalars of shape ().
//
// Graph nodes come in and graph nodes go out; nothing here owns memory.
package op

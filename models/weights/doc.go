// Package weights reads and writes files of tensors: safetensors and PyTorch
// checkpoints (.pth). Paths come in; names, shapes and numbers go
// out. Opened files are memory-mapped and belong to whoever opened them until
// Close; nothing in a file is ever executed, and every size is checked against
// the file before memory is asked for.
//
// A model is one safetensors file: weights under their published names and the
// whole configuration as JSON in the metadata (see File.Config).
package weights

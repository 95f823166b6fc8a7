// Package models is the zoo: what a network is, how a model file is read and
// written, and one file for each network.
//
// A model is one safetensors file that holds the weights by their published
// names and the whole configuration, so that running it needs no flag. Open
// reads one; a Runner turns the frames of a clip into generated frames on a
// device, remembering its own past. Networks that make pictures of codes
// instead (Picture) are opened by OpenPicture and run by a Sampler. Runners and
// Samplers own device memory until closed.
package models

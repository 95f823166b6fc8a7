// Package published brings weights in that were trained elsewhere, by the
// published code of vid2vid, pix2pixHD and CycleGAN-and-pix2pix, and takes them
// back there. Checkpoints come in, one file or a folder of them; a model file
// goes out, and the other way round.
//
// Recognise tells the network from the names and shapes of its tensors. What
// they cannot tell is taken as published, recorded as an assumption, and
// changed by Choices. Files are hostile until proven otherwise: nothing of them
// is run, and links are not followed out of a folder. Tensors are streamed from
// file to file, never held.
package published

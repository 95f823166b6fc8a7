// Package labelmap turns pictures of labels into what a network takes: frames
// whose bytes are label ids.
//
// A coloured frame goes through Colors, which knows a Palette. A PNG that holds
// ids already (grey of 8 or 16 bits, or a palette picture whose index is the
// id) is read by ReadIndex without any conversion of colours. An index picture
// as a frame has the id in the first byte of each pixel; the other two repeat
// it, or hold an instance id, see Pack. DensePose checks pictures of body
// surfaces. Frames and maps stay the caller's. Pure Go.
package labelmap

// Package engine turns a gorgonia graph into a Program and declares what a
// device must do to run one.
//
// Lower walks a graph from its outputs, translates the two operators that
// gorgonia's Grad adds, drops what nothing needs, fuses, and orders the rest
// so that variables can be updated in place. A Device compiles a whole
// Program: layouts, algorithms and every byte of memory are decided there,
// not while running.
//
// Buffers belong to the device that made them; whoever asked for one closes
// it. Nothing here knows any device.
package engine

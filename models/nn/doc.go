// Package nn builds networks as graphs of op's operators: layers that own
// parameters, the blocks that vid2vid and its relatives share, and Adam.
//
// A graph comes in with NewBuilder and is added to; what comes out are its
// nodes and the list of parameters, each with its full path name, shape and
// initialiser. Values live elsewhere: whoever runs the graph owns them.
package nn

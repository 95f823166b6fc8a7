package op

// The three parts of an Adam step (Kingma and Ba 2015, algorithm 1). Each is a
// pure function; the engine writes the results over the variables they update.

// AdamM is Beta*m + (1-Beta)*g. Inputs: m, g.
type AdamM struct{ Beta float32 }

// AdamV is Beta*v + (1-Beta)*g^2. Inputs: v, g.
type AdamV struct{ Beta float32 }

// AdamP is p - h0*m/(sqrt(v)*h1 + Eps), PyTorch's order of roundings, with
// h = (lr/(1-beta1^t), 1/sqrt(1-beta2^t)) set by the caller at every step.
// Inputs: p, new m, new v, h (2).
type AdamP struct{ Eps float32 }

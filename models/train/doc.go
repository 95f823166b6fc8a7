// Package train trains v2v's networks on paired clips, or on pictures alone:
// data comes in as A/B folders or videos, a run folder goes out with
// checkpoints, metrics, samples and the final model.
//
// Trainers own the device work (a network, its discriminators and optimisers);
// Run owns the rest: drawing samples, the schedule, checkpoints, resuming and
// what is logged. Everything random is a function of the seed and a sample's
// number, so that a run that was killed continues the same curve.
package train

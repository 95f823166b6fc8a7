// Package jobs turns clips into clips: one clip's pipeline, and a directory of
// clips with everything a long unattended run needs.
//
// What comes in: a Generator, factories for video readers and writers, and
// paths. What goes out: finished outputs, progress events through a callback,
// and a Summary. Nothing is printed here and no network is known here.
//
// One frame's way (Clip): decode -> measured flow, where the network wants it
// -> generate -> encode. Channels are bounded and carry owned frames, so the
// memory of a clip does not depend on its length. The goroutine that calls
// Clip.Run owns the device.
//
// One clip's way through a batch (MakePlan, Run): the plan says which clips
// are new, stale or done; workers take them from a Queue; a writer works in
// OUTDIR/.v2v/parts and renames the finished file into place; then a sidecar
// in OUTDIR/.v2v/clips records what it was made from. The sidecar comes last
// and counts only while the output it names exists and matches, so a run that
// was killed at any moment is continued by running it again: an output with no
// sidecar is made again and replaced.
package jobs

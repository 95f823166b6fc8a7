// Package conformance holds the tests that every video reader and writer of v2v
// must pass, and nothing else. Clips are made by ffmpeg's own test sources when
// the tests run; what is true of them is known from how they were made, or asked
// of ffprobe.
package conformance

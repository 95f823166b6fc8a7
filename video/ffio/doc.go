// Package ffio reads and writes video files through ffprobe and ffmpeg as child
// processes. It is pure Go.
//
// Probe tells what a clip is: its clock is the sorted list of packet times, its
// frame rate a fraction, its size the size as shown. Reader hands out 8-bit RGB
// frames, converted by the clip's own colour tags and rotated once. Writer takes
// such frames and leaves one finished file, with the sound and the subtitles of
// the clip they came from; nothing stands under the final name before Commit
// has counted the frames in it.
//
// Each child runs in its own process group, dies with its parent, is started by
// an argument list (never a shell), may open local files and pipes only, and is
// always waited for: Close returns after the child is gone.
package ffio

// V2v turns control videos (edges, masks, luminance, regions) into realistic
// video with temporally conditioned networks, and trains them on paired clips.
//
// This page is the map of the house. Imports run downwards only; house_test.go
// executes the table.
//
//	cmd/v2v      prints, reads flags, exits; the only importer of the leaves
//	jobs         one clip's pipeline; a directory of clips (-> flow, video)
//	models       the zoo, a file a network; models/train on top of it, and
//	             models/published for weights that were trained elsewhere
//	  op nn weights engine      operators, layers, files, compiled programs
//	  engine/{ref,cpu,devices}  what programs run on; cpu is a leaf
//	flow         measured motion; flow/cvflow is a leaf
//	video        frames, readers, writers; cvio, ffio and cvimg are its leaves;
//	             pose and labelmap read what drives networks
//
// # One command
//
// main.go turns signals into a context and errors into exit codes (exit.go
// holds the one map). root.go makes the commands, fills flags from V2V_*, and
// owns stdout, stderr and the log. Each command has a file: prepare.go,
// train.go, convert.go, batch.go, eval.go, flow.go, import.go, export.go,
// sample.go, compare.go, plot.go, info.go, devices.go, bench.go, version.go.
// They share how clips are opened (clip.go, stage.go), written (sink.go), how a
// model and a device are (device.go, generator.go), where first frames come from
// (firstframe.go), how many clips run as one batch (lockstep.go), and how
// progress is shown (progress.go).
//
// # One frame
//
// `v2v convert --extract edges walk.mp4 -o out.mp4` takes frame 17 this way:
//
//   - clipOptions.open (clip.go) has probed the file through ffprobe
//     (video/ffio) and picked a decoder: OpenCV (video/cvio) where it is exact,
//     else ffmpeg as a child process. The Reader fills a video.Frame of a
//     video.Pool: 8-bit RGB, its time in the clip's own ticks.
//   - A stage (stage.go) wraps that Reader: its control (control.go) turns the
//     frame into edges (video/cvimg) and makes them smaller. Other controls
//     draw what files beside the clip say (video/pose, video/labelmap). The
//     stage takes its frame from a pool of its own and gives the one before
//     back.
//   - jobs.Clip.Run reads from them in a goroutine and hands the frame on
//     through a bounded channel; whoever holds a frame owns it.
//   - The goroutine that called Run owns the device. generator.go passes the
//     frame to models.Runner, which writes its bytes into a ring of device
//     buffers, points the compiled program (models/engine) at this window and
//     at the frames it made before, runs it, and reads bytes back. The made
//     frame stays on the device as the next one's past.
//   - A third goroutine gives the frame to the Writer that sink.go opened: an
//     ffmpeg child fed with Matroska (video/ffio), with the sound of the source
//     as its second input; or a folder of PNGs (video); or OpenCV, where there
//     is no ffmpeg.
//   - After the last frame, Commit counts what the encoder wrote and renames
//     the part file. Until then nothing stands under the final name.
//
// A batch runs that for every clip of a plan (jobs.MakePlan) and keeps a
// sidecar for each finished output, from which the next run knows what is done.
//
// # One training step
//
// train.go reads the configuration (trainconfig.go), opens the pairs that
// prepare.go and dataset.go have written (models/train.OpenData), has the
// networks' graphs built and compiled (train.NewVid2Vid), and lets train.Run
// draw samples, step, save and resume. The model that comes out is what convert
// takes.
package main

package ffio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/v2v/v2v/video"
)

// Probe asks ffprobe what the clip at path is. It reads the whole file once,
// because only the packets tell how many frames there are and when.
func Probe(ctx context.Context, path string) (video.Info, error) {
	info, err := probe(ctx, path)
	if err != nil {
		return video.Info{}, fmt.Errorf("probe %q: %w", path, err)
	}
	return info, nil
}

func probe(ctx context.Context, path string) (video.Info, error) {
	if err := checkInput(path); err != nil {
		return video.Info{}, err
	}
	args := []string{"-loglevel", "level+error", "-protocol_whitelist", "file,pipe"}
	head, _, err := ffprobe(ctx, append(args[:4:4], "-of", "json", "-show_streams", "-show_format", fileURL(path)))
	if err != nil {
		return video.Info{}, err
	}
	info, claim, err := parseStreams(head)
	if err != nil {
		return video.Info{}, err
	}
	info.Path = path
	packets, errs, err := ffprobe(ctx, append(args[:4:4], "-of", "csv=p=0", "-select_streams", "V:0",
		"-show_entries", "packet=pts,dts,duration,size,flags", fileURL(path)))
	if err != nil {
		return video.Info{}, err
	}
	hidden, err := addTimes(&info, packets)
	if err != nil {
		return video.Info{}, err
	}
	claim.broken = errs > 0
	claim.addMissing(&info, hidden)
	return info, nil
}

// checkInput names the plain mistakes before a child has to.
func checkInput(path string) error {
	st, err := os.Stat(path)
	var pe *os.PathError
	switch {
	case errors.As(err, &pe):
		return pe.Err // the path is in the caller's message already
	case err != nil:
		return err
	case st.IsDir():
		return errors.New("is a folder, not a video file")
	case st.Mode().IsRegular() && st.Size() == 0:
		return fmt.Errorf("%w: the file is empty", video.ErrNoFrames)
	}
	return nil
}

// fileURL keeps names like "-x.mp4" or "http:x.mp4" from being anything but files.
func fileURL(path string) string { return "file:" + path }

// ffprobe runs to the end and returns what it printed and the number of errors
// that it met in the file.
func ffprobe(ctx context.Context, args []string) (out []byte, errs int, err error) {
	r, w, err := pipe()
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	c, err := startChild("ffprobe", args, files{stdout: w})
	if err != nil {
		return nil, 0, err
	}
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	var b bytes.Buffer
	_, copyErr := io.Copy(&b, r)
	if err := c.wait(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, 0, err
		}
		return nil, 0, fmt.Errorf("not a video that ffmpeg can read (%w)", c.failure(err))
	}
	errs, _ = c.stderr.broken()
	return b.Bytes(), errs, copyErr
}

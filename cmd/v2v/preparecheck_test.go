package main

import (
	"image"
	"image/color"
	"testing"
)

// TestPrepareCheckColours: colours that no label has and instances that are
// pictures are told, each of them, and what is right is not.
func TestPrepareCheckColours(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "city.txt", []byte("0 0 0 0 ground\n1 255 0 0 car\n7 0 0 255 sky\n"))
	paint := func(odd color.Color) func(n int) image.Image {
		return func(n int) image.Image {
			img := image.NewRGBA(image.Rect(0, 0, 16, 12))
			for i := range 16 * 12 {
				img.Set(i%16, i/16, []color.Color{color.Black, color.RGBA{R: 250, A: 255}, color.RGBA{B: 255, A: 255}}[i%3])
			}
			if n == 1 && odd != nil {
				img.Set(3, 2, odd)
			}
			return img
		}
	}
	stills(t, "k/train_A/c/%d.png", 2, paint(nil))
	stills(t, "k/train_B/c/%d.png", 2, flat(16, 12, color.White))
	stills(t, "k/train_inst/c/%d.png", 2, flat(16, 12, color.Gray{Y: 3}))
	fine := step{args: "prepare check k --palette city.txt --label-nc 8", stderr: []string{"nothing is wrong"}}
	runSteps(t, []step{fine, {args: "prepare check k --palette city.txt --label-nc 7", code: 4,
		stderr: []string{`^  train_A/c/0.png: label ids out of range: 7`, `^  train_A/c/1.png: label ids out of range: 7`}}})
	stills(t, "k/train_A/c/%d.png", 2, paint(color.RGBA{G: 255, A: 255}))
	stills(t, "k/train_inst/c/%d.png", 2, paint(nil))
	runSteps(t, []step{
		{args: "prepare check k --palette city.txt", code: 4, stderr: []string{
			`^  train_A/c/1.png: .*1 of 192 pixels`, `^  train_inst/c/0.png holds no instances: .*colour`, `^  train_inst/c/1.png holds no instances: `}},
		{args: "prepare check k --palette none.txt", code: 2, stderr: []string{"none.txt"}},
		{args: "prepare check k --palette city.txt --tolerance 0", code: 2, stderr: []string{"--tolerance 0: give a number above 0"}},
	})
}

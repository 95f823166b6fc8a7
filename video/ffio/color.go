package ffio

import (
	"fmt"
	"strings"

	"github.com/v2v/v2v/video"
)

// swsFlags make swscale exact to a level on the way to the encoder; without them
// it is up to 4 off.
const swsFlags = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"

// hdHeight is the height from which an untagged picture is taken for BT.709, the
// guess that players make too.
const hdHeight = 720

// toRGB are the flags and formats by which swscale is exact on the way from the
// decoder. Straight to packed RGB it is either a level too dark (fast), or three
// times slower than by way of planes (accurate_rnd); the results of these two are
// the same to the bit.
const toRGB = "flags=bicubic+full_chroma_int,format=gbrp,scale,format=rgb24"

// matrices maps ffprobe's colour matrices on scale's names for them.
var matrices = map[string]string{
	"bt709": "bt709", "smpte170m": "smpte170m", "bt470bg": "bt470", "fcc": "fcc", "smpte240m": "smpte240m",
	"bt2020nc": "bt2020", "bt2020c": "bt2020",
}

// isRGB reports whether a pixel format holds red, green and blue already.
func isRGB(pixFmt string) bool {
	for _, p := range []string{"rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8"} {
		if strings.HasPrefix(pixFmt, p) {
			return true
		}
	}
	return false
}

// isGray reports whether a pixel format has no colour.
func isGray(pixFmt string) bool {
	return strings.HasPrefix(pixFmt, "gray") || strings.HasPrefix(pixFmt, "mono") || strings.HasPrefix(pixFmt, "ya")
}

// guessMatrix is the matrix for a picture that names none.
func guessMatrix(height int) string {
	if height >= hdHeight {
		return "bt709"
	}
	return "smpte170m"
}

// decodeFilter turns what the decoder yields into 8-bit RGB by the clip's own
// tags, and the notes say what had to be assumed or lost on the way.
func decodeFilter(i video.Info) (filter string, notes []string) {
	if i.Color.HDR() {
		return hdrFilter(i.Color), []string{fmt.Sprintf(
			"%s high dynamic range is tone-mapped to standard range (hable)", hdrName(i.Color))}
	}
	scale := fmt.Sprintf("scale=w=%d:h=%d", i.Width, i.Height)
	if !isRGB(i.PixFmt) && !isGray(i.PixFmt) {
		matrix, known := matrices[i.Color.Matrix]
		if !known {
			matrix = guessMatrix(i.Height)
			notes = append(notes, fmt.Sprintf("colour matrix %s: taken for %s by its height",
				orWord(i.Color.Matrix, "not tagged"), matrix))
		}
		scale += ":in_color_matrix=" + matrix
		if i.Color.Range != "" {
			scale += ":in_range=" + i.Color.Range
		}
	}
	return scale + ":out_range=pc:" + toRGB, notes
}

// hdrFilter goes through linear light in BT.709 primaries. The input's tags are
// set where only the curve is known.
func hdrFilter(c video.Color) string {
	return fmt.Sprintf("zscale=tin=%s:pin=%s:min=%s:rin=%s:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,"+
		"tonemap=hable:desat=0,zscale=t=bt709:r=full,format=gbrp,scale,format=rgb24",
		c.Transfer, orWord(c.Primaries, "bt2020"), orWord(c.Matrix, "bt2020nc"), orWord(c.Range, "tv"))
}

func hdrName(c video.Color) string {
	if c.Transfer == "smpte2084" {
		return "PQ"
	}
	return "HLG"
}

func orWord(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}

// outColor is how the Writer converts and tags a picture: in YUV the matrix that
// a player would guess from the size, so that a lost tag changes nothing.
type outColor struct{ matrix, scale string }

func pickOutColor(pixFmt string, height int) outColor {
	if isRGB(pixFmt) {
		return outColor{}
	}
	m := guessMatrix(height)
	return outColor{matrix: m, scale: matrices[m]}
}

// filter converts the pipe's full-range RGB.
func (o outColor) filter(pixFmt string) string {
	if o.matrix == "" {
		return "format=" + pixFmt
	}
	return fmt.Sprintf("scale=in_range=pc:out_color_matrix=%s:out_range=tv:flags=%s,format=%s", o.scale, swsFlags, pixFmt)
}

// tags are the encoder's arguments that name the colours.
func (o outColor) tags() []string {
	t := []string{"-color_primaries:v", "bt709", "-color_trc:v", "bt709"}
	if o.matrix == "" {
		return append(t, "-color_range:v", "pc")
	}
	return append(t, "-colorspace:v", o.matrix, "-color_range:v", "tv")
}

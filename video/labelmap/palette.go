package labelmap

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// MaxID is the highest label id: ids are bytes of a frame.
const MaxID = 255

// Entry is a label and its colour.
type Entry struct {
	ID      byte
	R, G, B byte
	Name    string // may be empty
}

// Palette says which colour is which label. Several colours may be one label.
type Palette struct {
	Entries []Entry // no colour twice
	Notes   []string
}

// ErrPalette is wrapped where a file holds no palette.
var ErrPalette = errors.New("not a palette")

// ReadPalette reads a palette file.
func ReadPalette(path string) (*Palette, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read palette: %w", err)
	}
	p, err := ParsePalette(b)
	if err != nil {
		return nil, fmt.Errorf("read palette %q: %w", path, err)
	}
	return p, nil
}

// ParsePalette reads lines of "id r g b [name]", with blanks or commas between,
// or a table with a header in the manner of Cityscapes: comma separated, with
// columns id, name (or not), and r, g, b (or red, green, blue) or color, which
// is like "(128, 64, 128)" or #804080. Other columns are passed over. Empty
// lines and what follows a # at the beginning of a line are, too.
//
// Where two labels have one colour, as in Cityscapes' full list, pixels are of
// the first; Notes say so. Rows of a table with a negative id are left out,
// and noted.
func ParsePalette(b []byte) (*Palette, error) {
	p := &Palette{}
	n := 0
	var table []string // header and rows, each padded to its line by empty ones
	for text := range strings.Lines(string(b)) {
		n++
		text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
		comment := text == "" || strings.HasPrefix(text, "#")
		switch {
		case comment && table == nil:
		case comment:
			table = append(table, "")
		case table != nil || len(p.Entries) == 0 && isHeader(text):
			if table == nil {
				table = make([]string, n-1)
			}
			table = append(table, text)
		default:
			e, err := parseLine(text)
			if err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrPalette, n, err)
			}
			p.add(e)
		}
	}
	if table != nil {
		if err := p.parseTable(strings.Join(table, "\n")); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPalette, err)
		}
	}
	if len(p.Entries) == 0 {
		return nil, fmt.Errorf(`%w: it has no line "id r g b [name]"`, ErrPalette)
	}
	return p, nil
}

// add enters a label, unless its colour is taken.
func (p *Palette) add(e Entry) {
	for _, old := range p.Entries {
		if old.R != e.R || old.G != e.G || old.B != e.B {
			continue
		}
		if old.ID != e.ID {
			p.Notes = append(p.Notes, fmt.Sprintf("colour %d %d %d is of %s and of %s: it is read as %d", e.R, e.G, e.B, old.title(), e.title(), old.ID))
		}
		return
	}
	p.Entries = append(p.Entries, e)
}

func (e Entry) title() string {
	if e.Name == "" {
		return fmt.Sprintf("label %d", e.ID)
	}
	return fmt.Sprintf("label %d (%s)", e.ID, e.Name)
}

func parseLine(text string) (Entry, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\t' })
	if len(words) < 4 {
		return Entry{}, fmt.Errorf(`%.60q: want "id r g b [name]"`, text)
	}
	e := Entry{Name: strings.Join(words[4:], " ")}
	for i, to := range []*byte{&e.ID, &e.R, &e.G, &e.B} {
		if err := parseByte(words[i], to); err != nil {
			return Entry{}, fmt.Errorf(`%.60q: %w; want "id r g b [name]"`, text, err)
		}
	}
	return e, nil
}

func parseByte(word string, to *byte) error {
	v, err := strconv.ParseUint(strings.TrimSpace(word), 10, 8)
	if err != nil {
		return fmt.Errorf("%.20q is no number from 0 to 255", word)
	}
	*to = byte(v)
	return nil
}

// isHeader reports whether a line names a column id.
func isHeader(text string) bool {
	return slices.ContainsFunc(strings.Split(text, ","), func(w string) bool { return columnName(w) == "id" })
}

func columnName(word string) string { return strings.ToLower(strings.Trim(word, " \t\"'")) }

// columns are the places of the fields in a table's header, -1 for one that it lacks.
type columns struct{ id, name, r, g, b, color int }

func findColumns(header []string) (columns, error) {
	at := func(names ...string) int {
		return slices.IndexFunc(header, func(w string) bool { return slices.Contains(names, columnName(w)) })
	}
	c := columns{at("id"), at("name", "label", "class"), at("r", "red"), at("g", "green"), at("b", "blue"), at("color", "colour", "rgb")}
	if c.color < 0 && (c.r < 0 || c.g < 0 || c.b < 0) {
		return c, fmt.Errorf("the header %.80q names no columns r, g and b, and none color", strings.Join(header, ","))
	}
	return c, nil
}

// parseTable reads comma separated values, the header first.
func (p *Palette) parseTable(text string) error {
	r := csv.NewReader(strings.NewReader(text))
	r.TrimLeadingSpace = true
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		return err
	}
	c, err := findColumns(header)
	if err != nil {
		return err
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		if len(row) != len(header) {
			return fmt.Errorf("line %d has %d columns, the header %d (a colour in one column needs quotes)", line, len(row), len(header))
		}
		if err := p.addRow(row, c); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func (p *Palette) addRow(row []string, c columns) error {
	e := Entry{}
	if c.name >= 0 {
		e.Name = strings.TrimSpace(row[c.name])
	}
	if id, err := strconv.Atoi(strings.TrimSpace(row[c.id])); err == nil && id < 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("label %d (%s) is left out: ids begin at 0", id, e.Name))
		return nil
	}
	if err := parseByte(row[c.id], &e.ID); err != nil {
		return fmt.Errorf("id %w", err)
	}
	parts := []string{}
	if c.color >= 0 {
		var err error
		if parts, err = splitColor(row[c.color]); err != nil {
			return err
		}
	} else {
		parts = append(parts, row[c.r], row[c.g], row[c.b])
	}
	for i, to := range []*byte{&e.R, &e.G, &e.B} {
		if err := parseByte(parts[i], to); err != nil {
			return err
		}
	}
	p.add(e)
	return nil
}

// splitColor takes "(128, 64, 128)", "128 64 128" and "#804080" apart.
func splitColor(text string) ([]string, error) {
	if hex, ok := strings.CutPrefix(strings.TrimSpace(text), "#"); ok && len(hex) == 6 {
		v, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			return nil, fmt.Errorf("%.20q is no colour", text)
		}
		return []string{strconv.Itoa(int(v >> 16)), strconv.Itoa(int(v >> 8 & 255)), strconv.Itoa(int(v & 255))}, nil
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("()[], \t", r) })
	if len(parts) != 3 {
		return nil, fmt.Errorf("%.20q is no colour", text)
	}
	return parts, nil
}

package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"
)

// Places on a picture, in pixels. Letters are about 6.6 wide at the size of 12.
const (
	wide      = 860.0
	margin    = 24.0
	letter    = 6.6
	headRoom  = 84.0 // title and explanation
	groupRoom = 26.0 // a group's name
	barRoom   = 24.0
	barHigh   = 14.0
	groupGap  = 10.0
	footRoom  = 54.0 // the axis and its numbers
)

// farApart is how many times the shortest bar fits into the longest from when on
// lengths stand for powers of ten: in proportion nothing would be seen of the
// shortest, and of what it is compared with.
const farApart = 50

// colours can be told apart by those who see few (Okabe and Ito), on white.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#999999"}

// SVG writes the picture: a bar for each median, a thin line over the quartiles, a
// dashed one where the target is, and the numbers next to them. It has its own white
// ground, because GitHub shows it on light and dark pages, and needs no font, script
// or other file.
func (p Picture) SVG(w io.Writer) error {
	d := drawing{Picture: p, left: margin, scale: p.scale()}
	for _, bar := range p.Bars {
		d.left = max(d.left, margin+10+letter*float64(utf8.RuneCountInString(bar.Name)))
		d.right = max(d.right, letter*float64(utf8.RuneCountInString(bar.label(p.Unit))))
	}
	d.left, d.right = d.left+8, wide-margin-d.right-10
	_, err := w.Write(d.draw())
	return err
}

// label is the text next to a bar.
func (b Bar) label(unit string) string {
	text := b.Values.in(unit)
	if b.Mark > 0 {
		text += ", target " + rounded(b.Mark)
	}
	return text
}

// scale says where on an axis a value is, 0 at its begin and 1 at its end.
type scale struct {
	powers    bool // each step of the axis is ten times the one before
	low, high float64
}

func (p Picture) scale() scale {
	var ends []float64
	for _, bar := range p.Bars {
		if len(bar.Values) == 0 {
			continue
		}
		_, high := bar.Values.Quartiles()
		ends = append(ends, bar.Values.Median(), high)
		if bar.Mark > 0 {
			ends = append(ends, bar.Mark)
		}
	}
	if len(ends) == 0 {
		return scale{high: 1}
	}
	low, high := slices.Min(ends), slices.Max(ends)
	if low > 0 && high/low > farApart {
		return scale{true, math.Pow(10, math.Floor(math.Log10(low))), high}
	}
	return scale{high: max(high, math.SmallestNonzeroFloat32)}
}

func (s scale) at(v float64) float64 {
	if s.powers {
		v = max(v, s.low)
		return math.Log10(v/s.low) / math.Log10(s.high/s.low)
	}
	return v / s.high
}

// steps are the values at which the axis has a line.
func (s scale) steps() (steps []float64) {
	if s.powers {
		for v := s.low; v <= s.high*1.0001; v *= 10 {
			steps = append(steps, v)
		}
		return steps
	}
	step := math.Pow(10, math.Floor(math.Log10(s.high)))
	switch n := s.high / step; {
	case n < 2:
		step /= 5
	case n < 5:
		step /= 2
	}
	for n := 0; float64(n)*step <= s.high*1.0001; n++ {
		steps = append(steps, float64(n)*step)
	}
	return steps
}

func (s scale) explained() []string {
	lines := []string{"Bars are medians; the thin line spans the middle half of the runs; the dashed line is the target."}
	if s.powers {
		lines = append(lines, "Each step of the axis is ten times the one before: read the numbers, not the lengths.")
	}
	return lines
}

// drawing is a picture being drawn.
type drawing struct {
	Picture
	scale       scale
	left, right float64 // of the bars
	out         bytes.Buffer
}

func (d *drawing) draw() []byte {
	bottom := headRoom
	for i := range d.Bars {
		if d.begins(i) {
			bottom += groupRoom
			if i > 0 {
				bottom += groupGap
			}
		}
		bottom += barRoom
	}
	high := bottom + footRoom
	fmt.Fprintf(&d.out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" font-family="-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12" fill="#1f2328">`+"\n", wide, high, wide, high)
	fmt.Fprintf(&d.out, "<title>%s</title>\n", escaped(d.Title))
	fmt.Fprintf(&d.out, `<rect x="0.5" y="0.5" width="%g" height="%g" rx="6" fill="#ffffff" stroke="#d0d7de"/>`+"\n", wide-1, high-1)
	d.text(margin, 32, `font-size="16" font-weight="600"`, d.Title)
	for i, line := range d.scale.explained() {
		d.text(margin, 52+16*float64(i), `fill="#59636e"`, line)
	}
	d.axis(bottom)
	d.bars()
	d.out.WriteString("</svg>\n")
	return d.out.Bytes()
}

// begins reports whether a bar is the first one of its group.
func (d *drawing) begins(i int) bool { return i == 0 || d.Bars[i].Group != d.Bars[i-1].Group }

func (d *drawing) x(v float64) float64 { return d.left + (d.right-d.left)*d.scale.at(v) }

func (d *drawing) axis(bottom float64) {
	for _, step := range d.scale.steps() {
		d.line(d.x(step), headRoom, d.x(step), bottom+6, `stroke="#d0d7de"`)
		d.text(d.x(step), bottom+20, `text-anchor="middle" fill="#59636e"`, rounded(step))
	}
	d.text((d.left+d.right)/2, bottom+38, `text-anchor="middle" fill="#59636e"`, d.Unit)
}

func (d *drawing) bars() {
	coloured := map[string]string{}
	y := headRoom
	for i, bar := range d.Bars {
		if d.begins(i) {
			if i > 0 {
				y += groupGap
			}
			d.text(margin, y+18, `font-weight="600"`, bar.Group)
			y += groupRoom
		}
		if coloured[bar.Name] == "" {
			coloured[bar.Name] = colours[len(coloured)%len(colours)]
		}
		d.bar(bar, y, coloured[bar.Name])
		y += barRoom
	}
}

// bar draws one bar, whose room begins at y.
func (d *drawing) bar(bar Bar, y float64, colour string) {
	top, middle := y+(barRoom-barHigh)/2, y+barRoom/2
	d.text(d.left-8, middle+4, `text-anchor="end"`, bar.Name)
	end := d.left
	if len(bar.Values) > 0 {
		low, high := bar.Values.Quartiles()
		// A pixel at least: it was measured.
		fmt.Fprintf(&d.out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%g" fill="%s"/>`+"\n", d.left, top, max(1, d.x(bar.Values.Median())-d.left), barHigh, colour)
		d.line(d.x(low), middle, d.x(high), middle, `stroke="#1f2328"`)
		d.line(d.x(low), middle-4, d.x(low), middle+4, `stroke="#1f2328"`)
		d.line(d.x(high), middle-4, d.x(high), middle+4, `stroke="#1f2328"`)
		end = d.x(high)
	}
	if bar.Mark > 0 {
		d.line(d.x(bar.Mark), y+1, d.x(bar.Mark), y+barRoom-1, `stroke="#cf222e" stroke-width="2" stroke-dasharray="4 2"`)
		end = max(end, d.x(bar.Mark))
	}
	d.text(end+8, middle+4, "", bar.label(d.Unit))
}

func (d *drawing) line(x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(&d.out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

func (d *drawing) text(x, y float64, style, text string) {
	if style != "" {
		style = " " + style
	}
	fmt.Fprintf(&d.out, `<text x="%.1f" y="%.1f"%s>%s</text>`+"\n", x, y, style, escaped(text))
}

func escaped(text string) string {
	var out bytes.Buffer
	// A buffer takes all that is written to it.
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}

package main

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/gorm-occ/occ/benchmarks/peers"
)

//go:embed chart.svg.tmpl
var chartText string

var chartTemplate = template.Must(template.New("chart").Parse(chartText))

// The sizes of a chart, in pixels.
const (
	labelWidth = 230
	panelWidth = 210
	barWidth   = 140 // of the longest bar of a panel
	panelGap   = 20
	rowHeight  = 22
	headHeight = 74
)

// chart is a panel for each database, with a bar for each peer.
type chart struct {
	Title    string
	Subtitle string
	Labels   []label
	Panels   []panel
	Width    int
	Height   int
}

type label struct {
	Text string
	Y    int
	IsUs bool
}

type panel struct {
	Title string
	X     int
	Bars  []bar
}

// bar is the median, with a line from the lower to the upper quartile. A peer that is wrong has none.
type bar struct {
	Y                int
	Length, Low, End float64
	Text             string
	IsUs, IsWrong    bool
}

func newChart(title string) *chart { return &chart{Title: title} }

// add adds a database. Single statements are different ones on each: the chart shows the fastest.
func (c *chart) add(database string, e *Entry) {
	c.Subtitle = "time, 1.00x is " + e.Baseline + "; " + e.Setting + "; median and quartiles"
	p := panel{Title: database, X: labelWidth + len(c.Panels)*(panelWidth+panelGap)}
	scale := barWidth / max(e.longest(), 1)
	for _, f := range e.Peers {
		if name, isShown := e.shownAs(f.Peer); isShown {
			p.Bars = append(p.Bars, e.bar(&f, c.row(name), scale))
		}
	}
	c.Panels = append(c.Panels, p)
	c.Width, c.Height = p.X+panelWidth, headHeight+len(c.Labels)*rowHeight+10
}

// shownAs is the label of a peer.
func (e *Entry) shownAs(peer string) (name string, isShown bool) {
	if !isStatement(peer) {
		return peer, true
	}
	return "best statement by hand", peer == fastest(e, isStatement)
}

// row finds the line of a peer, or begins one.
func (c *chart) row(peer string) (y int) {
	for _, l := range c.Labels {
		if l.Text == peer {
			return l.Y
		}
	}
	y = headHeight + len(c.Labels)*rowHeight
	c.Labels = append(c.Labels, label{peer, y, isOcc(peer)})
	return y
}

func isOcc(peer string) bool { return strings.HasPrefix(peer, peers.NameOcc) }

func (e *Entry) bar(f *Figures, y int, scale float64) bar {
	if f.Wrong != "" {
		return bar{Y: y, Text: "wrong", IsWrong: true}
	}
	s := e.timeRatio(f.Peer, e.Baseline)
	return bar{Y: y, Length: s.Median * scale, Low: s.Low * scale, End: s.High * scale, Text: ratio(s.Median) + "x", IsUs: isOcc(f.Peer)}
}

// longest is the highest ratio that has to fit.
func (e *Entry) longest() float64 {
	most := 0.0
	for _, f := range e.Peers {
		most = max(most, e.timeRatio(f.Peer, e.Baseline).High)
	}
	return most
}

func (c *chart) write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return chartTemplate.Execute(file, c)
}

// TextX is where the figure of a bar stands: behind its quartiles.
func (b bar) TextX() float64 { return max(b.Length, b.End) + 6 }

// Middle is the line's.
func (b bar) Middle() float64 { return float64(b.Y) + 7.5 }

const textBelow = 12 // the top of a row

// TextY is the line that the figure stands on.
func (b bar) TextY() int { return b.Y + textBelow }

// TextY is the line that the name stands on.
func (l label) TextY() int { return l.Y + textBelow }

// LabelEnd is where names end.
func (c *chart) LabelEnd() int { return labelWidth - 10 }

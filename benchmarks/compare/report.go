package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/work"
)

//go:embed report.md.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// report is what the document shows.
type report struct {
	Opening  string
	First    *section // the chart that a reader sees at once
	Others   []section
	Machines []Machine
	Dates    string
	Verdicts string
}

// section is one piece of work: its chart, of every database.
type section struct {
	Name, Chart string
	chart       *chart
}

// titles are the databases as a document writes them.
var titles = map[string]string{peers.SQLite: "SQLite", peers.PostgreSQL: "PostgreSQL", peers.MariaDB: "MariaDB"}

// writeReport writes benchmarks.md and the charts beside the results, of all that is known.
func writeReport(r *Results, out string) error {
	made := newReport(r)
	var text strings.Builder
	if err := reportTemplate.Execute(&text, made); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "benchmarks.md"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	for _, s := range sections(r) {
		if err := s.chart.write(filepath.Join(out, "benchmarks", s.Chart)); err != nil {
			return err
		}
	}
	return nil
}

func newReport(r *Results) report {
	made := report{Opening: opening(r), Verdicts: markdownTable(verdicts(r, peers.Servers())), Dates: r.dates()}
	for _, name := range peers.Servers() {
		if m, ok := r.Machines[name]; ok {
			made.Machines = append(made.Machines, m)
		}
	}
	if all := sections(r); len(all) > 0 {
		made.First, made.Others = &all[0], all[1:]
	}
	return made
}

// opening is what a reader asks first: what a compared write of one row costs, in all settings and on all databases.
func opening(r *Results) string {
	usual, lean := costs(r, peers.NameOcc), costs(r, peers.NameLean)
	if len(usual) == 0 {
		return "What a compared write costs has not been measured yet."
	}
	var measured []string
	for _, name := range peers.Servers() {
		if len(costsOn(r, name, peers.NameOcc)) > 0 {
			measured = append(measured, titles[name])
		}
	}
	text := fmt.Sprintf("A compared Update or Save of one row takes %s times as long as the same write with a check by hand", between(usual))
	if len(lean) > 0 {
		text += fmt.Sprintf(", and %s times with `WithLeanTransactions`", between(lean))
	}
	return fmt.Sprintf("%s (%s; the median in each setting).", text, strings.Join(measured, ", "))
}

// between is the least and the most of some ratios.
func between(ratios []float64) string {
	return ratio(slices.Min(ratios)) + " to " + ratio(slices.Max(ratios))
}

// costs are what single writes of a peer take on all databases when the check by hand takes 1.
func costs(r *Results, peer string) (ratios []float64) {
	for _, name := range peers.Servers() {
		ratios = append(ratios, costsOn(r, name, peer)...)
	}
	return ratios
}

func costsOn(r *Results, name, peer string) (ratios []float64) {
	for _, w := range singles() {
		for _, e := range r.find(name, w) {
			if s := e.timeRatio(peer, peers.NameByHand); s != (race.Spread{}) {
				ratios = append(ratios, s.Median)
			}
		}
	}
	return ratios
}

// sections are the work that has figures.
func sections(r *Results) []section {
	var all []section
	for _, w := range work.All() {
		s := section{Name: w.Name, Chart: slug(w.Name) + ".svg", chart: newChart(w.Name)}
		for _, name := range peers.Servers() {
			if entries := r.find(name, w.Name); len(entries) > 0 {
				s.chart.add(titles[name], entries[0])
			}
		}
		if len(s.chart.Panels) > 0 {
			all = append(all, s)
		}
	}
	return all
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

func slug(name string) string { return notInNames.ReplaceAllString(strings.ToLower(name), "-") }

// dates is the first and the last day of measuring.
func (r *Results) dates() string {
	var all []string
	for _, e := range r.Entries {
		all = append(all, e.Date)
	}
	slices.Sort(all)
	switch all = slices.Compact(all); len(all) {
	case 0:
		return "never"
	case 1:
		return all[0]
	default:
		return all[0] + " to " + all[len(all)-1]
	}
}

// known leaves out the targets that nothing was measured for.
func known(lines [][]string) [][]string {
	return slices.DeleteFunc(lines, func(line []string) bool {
		return !slices.ContainsFunc(line[1:], func(cell string) bool { return cell != verdict{}.String() })
	})
}

// verdicts is the table of targets.
func verdicts(r *Results, databases []string) [][]string {
	lines := [][]string{{"target"}}
	for _, d := range databases {
		lines[0] = append(lines[0], titles[d])
	}
	for _, t := range targets() {
		line := []string{t.Text}
		for _, d := range databases {
			line = append(line, t.judge(r, d).String())
		}
		lines = append(lines, line)
	}
	line := []string{"a row of 10000 takes at most 1.25x the time of a row of 100"}
	for _, d := range databases {
		line = append(line, flat(r, d).String())
	}
	return append(lines, line)
}

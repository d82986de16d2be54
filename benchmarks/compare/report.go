package main

import (
	_ "embed"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/gorm-occ/occ/benchmarks/database"
	"github.com/gorm-occ/occ/benchmarks/work"
)

//go:embed report.md.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// report is what the document shows.
type report struct {
	Machines []Machine
	Dates    string
	Verdicts string
	Sections []section
}

// section is one piece of work: a chart, and the figures of every database and setting.
type section struct {
	Name, Chart string
	Figures     []figures
	chart       *chart
}

type figures struct{ Database, Setting, Baseline, Table string }

// titles are the databases as a document writes them.
var titles = map[string]string{database.SQLite: "SQLite", database.PostgreSQL: "PostgreSQL", database.MariaDB: "MariaDB"}

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
	for _, s := range made.Sections {
		if err := s.chart.write(filepath.Join(out, "benchmarks", s.Chart)); err != nil {
			return err
		}
	}
	return nil
}

func newReport(r *Results) report {
	made := report{Verdicts: markdownTable(verdicts(r, database.Names())), Dates: r.dates()}
	for _, name := range database.Names() {
		if m, ok := r.Machines[name]; ok {
			made.Machines = append(made.Machines, m)
		}
	}
	for _, w := range work.All() {
		if s := newSection(r, w.Name); len(s.Figures) > 0 {
			made.Sections = append(made.Sections, s)
		}
	}
	return made
}

func newSection(r *Results, work string) section {
	s := section{Name: work, Chart: slug(work) + ".svg", chart: newChart(work)}
	for _, name := range database.Names() {
		entries := r.find(name, work)
		for _, e := range entries {
			s.Figures = append(s.Figures, figures{titles[name], e.Setting, e.Baseline, markdownTable(table(e))})
		}
		if len(entries) > 0 {
			s.chart.add(titles[name], entries[0])
		}
	}
	return s
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

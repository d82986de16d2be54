package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// ratio is how figures are written: two digits, fewer where they are large.
func ratio(x float64) string {
	switch {
	case x == 0:
		return "-"
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

var tableHead = []string{"peer", "time", "quartiles", "allocations", "bytes", "statements", "about"}

// table is the rows of an entry: ratios to its baseline, and absolute figures for orientation.
func table(e *Entry) [][]string {
	lines := [][]string{tableHead}
	for i := range e.Peers {
		lines = append(lines, e.line(&e.Peers[i]))
	}
	return lines
}

func (e *Entry) line(f *Figures) []string {
	if f.Wrong != "" {
		return []string{f.Peer, "wrong", f.Wrong, "", "", "", ""}
	}
	times := e.timeRatio(f.Peer, e.Baseline)
	return []string{
		f.Peer, ratio(times.Median) + "x", ratio(times.Low) + "-" + ratio(times.High), e.charged(f, f.Allocs, e.allocRatio(f.Peer, e.Baseline)),
		e.charged(f, f.Bytes, 0), cmp.Or(f.Note, f.Counts.String()), about(f.median()),
	}
}

// charged is a figure of memory with its ratio, if it has one. Work on several goroutines has no such figures.
func (e *Entry) charged(f *Figures, figure, times float64) string {
	switch {
	case f.Allocs == 0:
		return ""
	case times == 0:
		return fmt.Sprintf("%.0f", figure)
	default:
		return fmt.Sprintf("%sx (%.0f)", ratio(times), figure)
	}
}

// String counts prepared statements apart.
func (c Counts) String() string {
	switch {
	case c.Statements == 0:
		return ""
	case c.Prepares > 0:
		return fmt.Sprintf("%d, %d prepared", c.Statements, c.Prepares)
	default:
		return fmt.Sprint(c.Statements)
	}
}

// about is a time for orientation.
func about(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	default:
		return fmt.Sprintf("%.0f µs", d.Seconds()*1e6)
	}
}

// plainTable aligns columns for a terminal.
func plainTable(lines [][]string) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			if line[1] != "wrong" || i < 2 {
				widths[i] = max(widths[i], len([]rune(cell)))
			}
		}
	}
	var out strings.Builder
	for _, line := range lines {
		var row strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&row, "%s%s  ", cell, strings.Repeat(" ", max(0, widths[i]-len([]rune(cell)))))
		}
		out.WriteString("  " + strings.TrimRight(row.String(), " ") + "\n")
	}
	return out.String()
}

// markdownTable is the same for a document.
func markdownTable(lines [][]string) string {
	var out strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&out, "| %s |\n", strings.ReplaceAll(strings.Join(line, " | "), "\n", " "))
		if i == 0 {
			fmt.Fprintf(&out, "|%s\n", strings.Repeat("---|", len(line)))
		}
	}
	return out.String()
}

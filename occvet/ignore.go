package occvet

import (
	"go/ast"
	"go/token"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const ignorePrefix = "//occvet:ignore"

// ignore is a comment that says why a finding is none.
type ignore struct {
	comment *ast.Comment
	reason  string
	isAlone bool // it has a line of its own, and is about the next one
}

func (u *unit) addIgnores(file *ast.File) {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			rest, ok := strings.CutPrefix(comment.Text, ignorePrefix)
			if !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
				continue
			}
			at := u.pass.Fset.Position(comment.Pos())
			if u.ignores[at.Filename] == nil {
				u.ignores[at.Filename] = map[int]*ignore{}
			}
			reason, _, _ := strings.Cut(rest, "//") // what follows is a comment on the comment
			u.ignores[at.Filename][at.Line] = &ignore{comment, strings.TrimSpace(reason), !u.hasCode(file, at.Line)}
		}
	}
}

// hasCode reports whether there is a word of code on a line.
func (u *unit) hasCode(file *ast.File, line int) (has bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.Ident, *ast.BasicLit:
			has = has || u.pass.Fset.Position(n.Pos()).Line == line
		}
		return !has
	})
	return has
}

// isIgnored reports whether a comment with a reason stands on a line of the finding, or on the line above it.
func (u *unit) isIgnored(from, to token.Pos) bool {
	first, last := u.pass.Fset.Position(from), u.pass.Fset.Position(to)
	for line := first.Line - 1; line <= last.Line; line++ {
		found := u.ignores[first.Filename][line]
		if found != nil && found.reason != "" && (line >= first.Line || found.isAlone) {
			return true
		}
	}
	return false
}

// report reports a finding, unless it is ignored or in a generated file.
func (u *unit) report(pass *analysis.Pass, at analysis.Range, format string, args ...any) {
	if !u.isIgnored(at.Pos(), at.End()) && !u.isGenerated(at.Pos()) {
		pass.ReportRangef(at, format, args...)
	}
}

func (u *unit) isGenerated(pos token.Pos) bool {
	for _, file := range u.pass.Files {
		if file.FileStart <= pos && pos < file.FileEnd {
			return ast.IsGenerated(file)
		}
	}
	return false
}

package occvet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

var swallow = &analysis.Analyzer{
	Name: "swallow",
	Doc: `report refusals that are thrown away or only logged (off by default)

	_ = db.Save(&product).Error                               // reported

	if err := db.Save(&product).Error; err != nil {
		log.Print(err)                                        // reported: the user is told that it was saved
	}

	if errors.Is(err, occ.ErrStaleData) {
		return nil                                            // reported
	}

Turn it on with -swallow, or with -swallow.on beside the other checks. It is off because a job that runs again
by itself may well log and go on.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Flags:    offByDefault(),
	Requires: []*analysis.Analyzer{facts},
	Run:      runSwallow,
}

func runSwallow(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	if !isOn(pass.Analyzer) {
		return nil, nil
	}
	for _, s := range u.sources() {
		if u.isThrownAway(s.call) {
			u.report(pass, s.call, "the error of this call is thrown away: a refused write looks like a successful one (%s)", s.what)
		}
		for _, branch := range u.branches(s.call) {
			if u.onlyLogs(branch.Body) {
				u.report(pass, branch, "the error is only logged: whoever waits for the write of %s takes it for a successful one", s.what)
			}
		}
	}
	for file := range slices.Values(pass.Files) {
		u.reportStaleAsNil(pass, file)
	}
	return nil, nil
}

// isThrownAway reports whether a result, or the error in it, is assigned to the blank identifier.
func (u *unit) isThrownAway(e ast.Expr) bool {
	switch p := u.parent(e).(type) {
	case *ast.SelectorExpr:
		return p.Sel.Name == "Error" && isErrorOrDB(u.typeOf(p)) && u.isThrownAway(p)
	case *ast.AssignStmt:
		last, ok := p.Lhs[len(p.Lhs)-1].(*ast.Ident)
		return ok && last.Name == "_" && len(p.Rhs) == 1
	}
	return false
}

// branches are the if statements that ask whether the error of a call is nil.
func (u *unit) branches(call *ast.CallExpr) []*ast.IfStmt {
	var e ast.Node = call
	if sel, ok := u.parent(call).(*ast.SelectorExpr); ok && sel.Sel.Name == "Error" {
		e = sel
	}
	assignment, ok := u.parent(e).(*ast.AssignStmt)
	if !ok || len(assignment.Rhs) != 1 {
		return nil
	}
	v := u.variable(assignment.Lhs[len(assignment.Lhs)-1])
	if v == nil || !u.isLocal(v) {
		return nil
	}
	var found []*ast.IfStmt
	for _, use := range u.binding(v).uses {
		if branch := u.asksForError(use); branch != nil && use.Pos() > call.Pos() && u.isNext(assignment, branch) {
			found = append(found, branch)
		}
	}
	return found
}

// isNext reports whether a branch belongs to an assignment: as its own statement, or as the one right behind it.
func (u *unit) isNext(assignment *ast.AssignStmt, branch *ast.IfStmt) bool {
	if branch.Init == assignment {
		return true
	}
	block, ok := u.parents[assignment].(*ast.BlockStmt)
	if !ok {
		return false
	}
	at := slices.Index(block.List, ast.Stmt(assignment))
	return at+1 < len(block.List) && block.List[at+1] == branch
}

// asksForError is the if statement whose whole condition is err != nil, or res.Error != nil.
func (u *unit) asksForError(use ast.Expr) *ast.IfStmt {
	var e ast.Node = use
	if sel, ok := u.parent(use).(*ast.SelectorExpr); ok && sel.Sel.Name == "Error" {
		e = sel
	}
	comparison, ok := u.parent(e).(*ast.BinaryExpr)
	if !ok || comparison.Op != token.NEQ {
		return nil
	}
	branch, ok := u.parent(comparison).(*ast.IfStmt)
	if !ok || branch.Else != nil {
		return nil
	}
	return branch
}

// onlyLogs reports whether a block does nothing but call loggers.
func (u *unit) onlyLogs(block *ast.BlockStmt) bool {
	return !slices.ContainsFunc(block.List, func(s ast.Stmt) bool {
		statement, ok := s.(*ast.ExprStmt)
		if !ok {
			return true
		}
		call, ok := statement.X.(*ast.CallExpr)
		return !ok || !isLogger(u.callee(call))
	})
}

// isLogger reports whether a function writes to a log, by its package and name.
func isLogger(f *types.Func) bool {
	if f == nil || f.Pkg() == nil || strings.HasPrefix(f.Name(), "Fatal") || strings.HasPrefix(f.Name(), "Panic") {
		return false
	}
	path := f.Pkg().Path()
	return path == "log" || path == "log/slog" || path == "fmt" && strings.HasPrefix(f.Name(), "Print") ||
		strings.Contains(path, "zap") || strings.Contains(path, "logrus") || strings.Contains(path, "zerolog")
}

// reportStaleAsNil reports if errors.Is(err, occ.ErrStaleData) { return nil }.
func (u *unit) reportStaleAsNil(pass *analysis.Pass, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		branch, ok := n.(*ast.IfStmt)
		if !ok || len(branch.Body.List) != 1 || !u.asksForStale(branch.Cond) {
			return true
		}
		returned, ok := branch.Body.List[0].(*ast.ReturnStmt)
		if ok && len(returned.Results) > 0 && u.isNil(returned.Results[len(returned.Results)-1]) {
			u.report(pass, returned, "a refused write is returned as a successful one")
		}
		return true
	})
}

func (u *unit) asksForStale(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	return ok && isFunction(u.callee(call), "errors", "Is") && len(call.Args) == 2 && isObject(u.object(call.Args[1]), occPath, "ErrStaleData")
}

func (u *unit) isNil(e ast.Expr) bool { return u.pass.TypesInfo.Types[e].IsNil() }

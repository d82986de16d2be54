package occvet

import "golang.org/x/tools/go/analysis"

var blind = &analysis.Analyzer{
	Name: "blind",
	Doc: `report writes of models that have a key and were never loaded

	db.Model(&Product{ID: id}).Update("stock", 8)    // reported
	db.Delete(&Product{ID: id})                      // reported

Nothing says what such a write is based on. It is refused with occ.ErrVersionMissing wherever
there is a row. The ways out:

	db.First(&product, id)                                                     // load it first
	db.Model(&Product{ID: id}).Clauses(occ.Expect(form.Version)).Update(...)   // what the client has seen
	db.Model(&Product{}).Where("id = ?", id).Update(...)                       // by condition, not compared
	db.Model(&Product{ID: id}).Clauses(occ.Unchecked()).Update(...)            // give up the comparison

Not reported: Save, which inserts a row whose key is new; a payload that has a version, or sets nothing but columns
tagged gorm:"unversioned"; clauses that come from elsewhere; packages that call occ.WithBlindWrites, or
import one that does. Where another package does, turn this check off: -blind=false.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Requires: []*analysis.Analyzer{facts},
	Run:      runBlind,
}

func runBlind(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	if u.isBlind {
		return nil, nil
	}
	for _, w := range u.writes {
		if w.isSingle() && u.handle(w) == keyOnly && !u.isGiven(w) && !u.paysVersion(w) && !u.isUncounted(w) {
			u.report(pass, w.call, "this %s has a key and no version, so the write is refused: load it, or say with occ.Expect what it is based on", w.model.name())
		}
	}
	return nil, nil
}

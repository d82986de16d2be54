package proof

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Owner has associations of three kinds.
type Owner struct {
	ID       int `gorm:"primaryKey;autoIncrement:false"`
	Name     string
	PatronID *int
	Patron   *Patron
	Parts    []*Part
	Tags     []*Tag `gorm:"many2many:owner_tags"`
	occ.Version
}

type Patron struct {
	ID   int `gorm:"primaryKey;autoIncrement:false"`
	Name string
	occ.Version
}

type Part struct {
	ID      int `gorm:"primaryKey;autoIncrement:false"`
	OwnerID *int
	Name    string
	occ.Version
}

type Tag struct {
	ID   int `gorm:"primaryKey;autoIncrement:false"`
	Name string
	occ.Version
}

// node is a row, or a model in memory: an owner (with its patron), a part (with its owner), a patron or a tag.
type node struct {
	id, other int
	name      string
	version   int64
}

type place struct {
	table string
	id    int
}

type link struct{ owner, tag int }

// family is what occ promises of the rows and of what two sessions hold of them.
type family struct {
	rows  map[place]node
	links map[link]bool
	held  map[string]*graph
}

// graph is an owner in memory with all that was loaded with it.
type graph struct {
	owner, patron node
	parts, tags   []node
}

func (g *graph) holdsPart(id int) bool {
	return slices.ContainsFunc(g.parts, func(p node) bool { return p.id == id })
}

// visit is a call on the graph of a session's owner.
type visit struct {
	session string
	call    string
	n       int
}

var visitCalls = []string{
	"load", "Save", "full Save", "rename", "rename parts", "somebody writes part", "somebody writes patron", "somebody writes tag",
	"somebody writes owner", "somebody deletes part", "somebody moves part", "append part", "delete part", "clear parts", "delete tag", "append tag", "delete all",
}

func visits() *rapid.Generator[[]visit] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) visit {
		return visit{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "session"), rapid.SampledFrom(visitCalls).Draw(t, "call"), rapid.IntRange(1, 4).Draw(t, "n")}
	}), 1, 10)
}

// TestEveryAssociationPath runs random programs of two sessions on two owners and what belongs to them.
func TestEveryAssociationPath(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&Patron{}, &Owner{}, &Part{}, &Tag{}))
		rapid.Check(t, func(t *rapid.T) {
			f, owners := newFamily(t, db)
			var lines []string
			for _, v := range visits().Draw(t, "program") {
				if !f.isAllowed(v) {
					continue
				}
				lines = append(lines, v.source())
				want := f.foretell(v)
				got := v.run(db, owners)
				lines[len(lines)-1] += " // " + want.String()
				if difference := f.compare(db, want, got, owners); difference != "" {
					t.Fatalf("%s\n\n%s", difference, strings.Join(lines, "\n"))
				}
			}
		})
	})
}

// newFamily is what each program begins with: session a holds owner 1, b owner 1 too, and owner 2 is somebody's.
func newFamily(t rapid.TB, db *gorm.DB) (*family, map[string]*Owner) {
	for _, table := range []string{"owner_tags", "parts", "owners", "patrons", "tags"} {
		must(db.Exec("DELETE FROM " + table).Error)
	}
	tag := &Tag{ID: 1}
	must(db.Create(&[]*Owner{
		{ID: 1, Patron: &Patron{ID: 1}, Parts: []*Part{{ID: 1}, {ID: 2}}, Tags: []*Tag{tag, {ID: 2}}},
		{ID: 2, Patron: &Patron{ID: 2}, Parts: []*Part{{ID: 3}}, Tags: []*Tag{tag}},
	}).Error)
	f := &family{rows: map[place]node{}, links: map[link]bool{{1, 1}: true, {1, 2}: true, {2, 1}: true}, held: map[string]*graph{}}
	for _, n := range []struct {
		table     string
		id, other int
	}{
		{"owners", 1, 1}, {"owners", 2, 2}, {"patrons", 1, 0}, {"patrons", 2, 0},
		{"parts", 1, 1}, {"parts", 2, 1}, {"parts", 3, 2}, {"tags", 1, 0}, {"tags", 2, 0},
	} {
		f.rows[place{n.table, n.id}] = node{id: n.id, other: n.other, version: 1}
	}
	owners := map[string]*Owner{}
	for _, session := range []string{"a", "b"} {
		f.held[session] = f.load(1)
		owners[session] = loadOwner(db, 1)
	}
	return f, owners
}

func loadOwner(db *gorm.DB, id int) *Owner {
	o, byID := &Owner{}, func(tx *gorm.DB) *gorm.DB { return tx.Order("id") }
	err := db.Preload("Patron").Preload("Parts", byID).Preload("Tags", byID).First(o, id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil
	}
	must(err)
	return o
}

func (f *family) load(id int) *graph {
	owner, isThere := f.rows[place{"owners", id}]
	if !isThere {
		return nil
	}
	g := &graph{owner: owner, patron: f.rows[place{"patrons", owner.other}]}
	for _, at := range slices.SortedFunc(maps.Keys(f.rows), func(a, b place) int { return a.id - b.id }) {
		row := f.rows[at]
		if at.table == "parts" && row.other == id {
			g.parts = append(g.parts, row)
		}
		if at.table == "tags" && f.links[link{id, at.id}] {
			g.tags = append(g.tags, row)
		}
	}
	return g
}

// run makes the call on the session's owner; where association mode is about to change what is held, it is loaded again.
func (v visit) run(db *gorm.DB, owners map[string]*Owner) result {
	if name, isSomebody := strings.CutPrefix(v.call, "somebody "); isSomebody {
		return v.somebody(db, name)
	}
	o := owners[v.session]
	if v.call == "load" {
		owners[v.session] = loadOwner(db, v.n%2+1)
		return result{}
	}
	if o == nil {
		return result{}
	}
	switch v.call {
	case "Save":
		return answer(db.Save(o))
	case "full Save":
		return answer(db.Session(&gorm.Session{FullSaveAssociations: true}).Save(o))
	case "rename":
		o.Name, o.Patron.Name = fmt.Sprint("n", v.n), fmt.Sprint("p", v.n)
		return result{}
	case "rename parts":
		for _, p := range o.Parts {
			p.Name = fmt.Sprint("p", v.n)
		}
		return result{}
	}
	err := v.associate(db, o)
	owners[v.session] = loadOwner(db, o.ID)
	return only(err)
}

func (v visit) associate(db *gorm.DB, o *Owner) error {
	parts, tags := db.Model(o).Association("Parts"), db.Model(o).Association("Tags")
	switch v.call {
	case "append part":
		return parts.Append(&Part{ID: v.n})
	case "delete part":
		return parts.Delete(&Part{ID: v.n})
	case "clear parts":
		return parts.Clear()
	case "delete tag":
		return tags.Delete(&Tag{ID: v.n%2 + 1})
	case "append tag":
		return tags.Append(&Tag{ID: v.n%2 + 1})
	}
	return db.Select("Parts", "Tags").Delete(o).Error
}

func (v visit) somebody(db *gorm.DB, what string) result {
	switch what {
	case "writes part":
		return only(db.Model(&Part{}).Where("id = ?", v.n).Update("name", "x").Error)
	case "writes patron":
		return only(db.Model(&Patron{}).Where("id = ?", v.n).Update("name", "x").Error)
	case "writes tag":
		return only(db.Model(&Tag{}).Where("id = ?", v.n).Update("name", "x").Error)
	case "writes owner":
		return only(db.Model(&Owner{}).Where("id = ?", v.n).Update("name", "x").Error)
	case "deletes part":
		return only(db.Delete(&Part{}, v.n).Error)
	}
	return only(db.Model(&Part{}).Where("id = ?", v.n).Update("owner_id", nil).Error)
}

// isAllowed leaves out what the database refuses: links to an owner that is gone; and a part that is appended twice.
func (f *family) isAllowed(v visit) bool {
	g := f.held[v.session]
	if g == nil || !strings.HasPrefix(v.call, "append") {
		return true
	}
	_, isThere := f.rows[place{"owners", g.owner.id}]
	return isThere && !g.holdsPart(v.n) && !(v.call == "append part" && f.isOutlived(v.n))
}

// isOutlived tells a part that was deleted while a session holds a copy: inserted again, it would be at the same version.
func (f *family) isOutlived(part int) bool {
	_, isThere := f.rows[place{"parts", part}]
	for _, g := range f.held {
		if !isThere && g != nil && g.holdsPart(part) {
			return true
		}
	}
	return false
}

// bump writes a row that is there and gives it its next version.
func (f *family) bump(table string, id int, change func(*node)) {
	if row, isThere := f.rows[place{table, id}]; isThere {
		change(&row)
		row.version++
		f.rows[place{table, id}] = row
	}
}

func (f *family) foretell(v visit) outcome {
	if name, isSomebody := strings.CutPrefix(v.call, "somebody "); isSomebody {
		f.foretellSomebody(v.n, name)
		return outcome{affected: unsaid}
	}
	g := f.held[v.session]
	switch {
	case v.call == "load":
		f.held[v.session] = f.load(v.n%2 + 1)
	case g == nil:
	case v.call == "Save":
		return f.save(g, false)
	case v.call == "full Save":
		return f.save(g, true)
	case v.call == "rename":
		g.owner.name, g.patron.name = fmt.Sprint("n", v.n), fmt.Sprint("p", v.n)
	case v.call == "rename parts":
		for i := range g.parts {
			g.parts[i].name = fmt.Sprint("p", v.n)
		}
	default:
		o := f.associate(v, g)
		f.held[v.session] = f.load(g.owner.id)
		return o
	}
	return outcome{affected: unsaid}
}

func (f *family) foretellSomebody(n int, what string) {
	verb, table, _ := strings.Cut(what, " ")
	switch verb {
	case "writes":
		f.bump(table+"s", n, func(row *node) { row.name = "x" })
	case "deletes":
		delete(f.rows, place{"parts", n})
	case "moves":
		f.bump("parts", n, func(row *node) { row.other = 0 })
	}
}

// save is all or none: what it refuses leaves rows and memory as they were.
func (f *family) save(g *graph, full bool) outcome {
	o := outcome{failure: refusedAs}
	stale := func(table string, n node) {
		row, isThere := f.rows[place{table, n.id}]
		if len(o.refused) > 0 && o.op != occ.Op(table) || isThere && row.version == n.version {
			return
		}
		o.op = occ.Op(table) // the first table that refuses is the one that is reported
		r := refusal{id: n.id, reason: occ.ReasonChanged}
		if !isThere {
			r.reason = occ.ReasonDeleted
		}
		o.refused = append(o.refused, r)
	}
	if full {
		stale("patrons", g.patron)
	}
	stale("owners", g.owner)
	for _, p := range g.parts {
		if row, isThere := f.rows[place{"parts", p.id}]; full || !isThere || row.other != g.owner.id {
			stale("parts", p)
		}
	}
	for _, tag := range g.tags {
		if full {
			stale("tags", tag)
		}
	}
	if len(o.refused) > 0 {
		return o
	}
	f.write(g, full)
	return outcome{affected: unsaid}
}

func (f *family) write(g *graph, full bool) {
	put := func(table string, n *node) {
		f.bump(table, n.id, func(row *node) { row.name, row.other = n.name, n.other })
		n.version = f.rows[place{table, n.id}].version
	}
	put("owners", &g.owner)
	for i := range g.tags {
		f.links[link{g.owner.id, g.tags[i].id}] = true
	}
	if full {
		put("patrons", &g.patron)
		for i := range g.parts {
			put("parts", &g.parts[i])
		}
		for i := range g.tags {
			put("tags", &g.tags[i])
		}
	}
}

func (f *family) associate(v visit, g *graph) outcome {
	at, id := place{"parts", v.n}, g.owner.id
	row, isThere := f.rows[at]
	switch v.call {
	case "append part":
		refused := f.moved(g)
		if isThere && row.other != id {
			refused = append(refused, refusal{id: v.n, reason: occ.ReasonMissing})
		}
		if len(refused) > 0 {
			return outcome{failure: refusedAs, op: "parts", refused: refused}
		}
		if !isThere {
			f.rows[at] = node{id: v.n, other: id, version: 1}
		}
	case "delete part":
		if isThere && row.other == id {
			f.bump("parts", v.n, func(row *node) { row.other = 0 })
		}
	case "clear parts":
		for at, row := range maps.Clone(f.rows) {
			if at.table == "parts" && row.other == id {
				f.bump("parts", at.id, func(row *node) { row.other = 0 })
			}
		}
	case "delete tag":
		delete(f.links, link{id, v.n%2 + 1})
	case "append tag": // GORM links what is held already again
		for _, tag := range append(slices.Clone(g.tags), node{id: v.n%2 + 1}) {
			f.links[link{id, tag.id}] = true
		}
	case "delete all":
		return f.deleteAll(g)
	}
	return outcome{affected: unsaid}
}

// moved are the parts in memory that are no longer the owner's, which GORM saves along with one that is appended.
func (f *family) moved(g *graph) (refused []refusal) {
	for _, p := range g.parts {
		row, isThere := f.rows[place{"parts", p.id}]
		switch {
		case !isThere:
			refused = append(refused, refusal{id: p.id, reason: occ.ReasonDeleted})
		case row.other != g.owner.id && row.version != p.version:
			refused = append(refused, refusal{id: p.id, reason: occ.ReasonChanged})
		}
	}
	return refused
}

// deleteAll compares the owner before anything of it is deleted.
func (f *family) deleteAll(g *graph) outcome {
	row, isThere := f.rows[place{"owners", g.owner.id}]
	if !isThere || row.version != g.owner.version {
		reason := map[bool]occ.Reason{true: occ.ReasonChanged, false: occ.ReasonDeleted}[isThere]
		return outcome{failure: refusedAs, op: "owners", refused: []refusal{{id: g.owner.id, reason: reason}}}
	}
	delete(f.rows, place{"owners", g.owner.id})
	maps.DeleteFunc(f.rows, func(at place, row node) bool { return at.table == "parts" && row.other == g.owner.id })
	maps.DeleteFunc(f.links, func(l link, _ bool) bool { return l.owner == g.owner.id })
	return outcome{affected: unsaid}
}

func (f *family) compare(db *gorm.DB, want outcome, got result, owners map[string]*Owner) string {
	if failureOf(got.err) != want.failure {
		return fmt.Sprintf("want %s, got the error: %v", want, got.err)
	}
	if want.failure == refusedAs {
		var refused *occ.StaleDataError
		errors.As(got.err, &refused)
		var have []refusal
		for _, r := range refused.Rows {
			have = append(have, refusal{id: r.PrimaryKey["id"].(int), reason: r.Reason})
		}
		if !reflect.DeepEqual(have, want.refused) || refused.Table != string(want.op) {
			return fmt.Sprintf("want %s, got %v", want, got.err)
		}
	}
	rows, links := storedFamily(db)
	if !maps.Equal(rows, f.rows) || !maps.Equal(links, f.links) {
		return fmt.Sprintf("want the rows %v %v, got %v %v", f.rows, f.links, rows, links)
	}
	for session, g := range f.held {
		if have := graphOf(owners[session]); !reflect.DeepEqual(have, g) {
			return fmt.Sprintf("want %s in memory to be %v, got %v", session, g, have)
		}
	}
	return ""
}

func storedFamily(db *gorm.DB) (rows map[place]node, links map[link]bool) {
	rows, links = map[place]node{}, map[link]bool{}
	var owners []*Owner
	var parts []*Part
	var patrons []*Patron
	var tags []*Tag
	var joined []struct{ OwnerID, TagID int }
	must(errors.Join(db.Find(&owners).Error, db.Find(&parts).Error, db.Find(&patrons).Error, db.Find(&tags).Error,
		db.Table("owner_tags").Find(&joined).Error))
	for _, o := range owners {
		rows[place{"owners", o.ID}] = node{id: o.ID, other: *o.PatronID, name: o.Name, version: int64(o.Version)}
	}
	for _, l := range joined {
		links[link{l.OwnerID, l.TagID}] = true
	}
	for _, p := range parts {
		rows[place{"parts", p.ID}] = nodeOfPart(p)
	}
	for _, p := range patrons {
		rows[place{"patrons", p.ID}] = node{id: p.ID, name: p.Name, version: int64(p.Version)}
	}
	for _, tag := range tags {
		rows[place{"tags", tag.ID}] = node{id: tag.ID, name: tag.Name, version: int64(tag.Version)}
	}
	return rows, links
}

func nodeOfPart(p *Part) node {
	n := node{id: p.ID, name: p.Name, version: int64(p.Version)}
	if p.OwnerID != nil {
		n.other = *p.OwnerID
	}
	return n
}

func graphOf(o *Owner) *graph {
	if o == nil {
		return nil
	}
	g := &graph{
		owner:  node{id: o.ID, other: *o.PatronID, name: o.Name, version: int64(o.Version)},
		patron: node{id: o.Patron.ID, name: o.Patron.Name, version: int64(o.Patron.Version)},
	}
	for _, p := range o.Parts {
		g.parts = append(g.parts, nodeOfPart(p))
	}
	for _, tag := range o.Tags {
		g.tags = append(g.tags, node{id: tag.ID, name: tag.Name, version: int64(tag.Version)})
	}
	return g
}

func (v visit) source() string {
	return fmt.Sprintf("%s: %s %d", v.session, v.call, v.n)
}

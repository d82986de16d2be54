package proof

import (
	"fmt"
	"slices"

	"gorm.io/gorm/clause"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

// create is Create of one model, or of several of different rows.
type create struct {
	vs   []variable
	form string
}

func creates() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		form := rapid.SampledFrom([]string{"", "", "slice", "batches", "map"}).Draw(t, "form")
		if form == "slice" || form == "batches" {
			return create{vs: distinct().Draw(t, "models"), form: form}
		}
		return create{vs: []variable{anyVariable().Draw(t, "variable")}, form: form}
	})
}

// isAllowed leaves out what the database refuses in a transaction, which ends it on PostgreSQL.
func (s create) isAllowed(w *world) bool {
	if s.form == "batches" && w.set.other == committer {
		return false // GORM takes the pool for a transaction
	}
	return len(w.levels) == 0 || !w.anyIsThere(s.vs)
}

func (w *world) anyIsThere(vs []variable) bool {
	for _, v := range vs {
		if _, isThere := w.rows[v.id()]; isThere {
			return true
		}
	}
	return false
}

func (s create) run(m *machine) result {
	switch s.form {
	case "slice":
		return answer(m.db.Create(m.list(s.vs)))
	case "batches":
		return answer(m.db.CreateInBatches(m.list(s.vs), 2))
	case "map":
		c := m.models[s.vs[0]].columns()
		return answer(m.db.Model(m.world.kind.model()).Create(map[string]any{"id": c.ID, "name": c.Name, "price": c.Price, "seen": c.Seen}))
	}
	return answer(m.db.Create(m.models[s.vs[0]]))
}

func (s create) foretell(w *world) outcome {
	inserted := int64(0)
	for _, vs := range s.parts(w) {
		if w.anyIsThere(vs) {
			return outcome{failure: duplicate, affected: inserted}
		}
		for _, v := range vs {
			h := w.models[v]
			if s.form == "map" {
				h = &held{id: h.id, values: values{name: h.name, price: h.price, seen: h.seen}}
			}
			w.insert(h)
			inserted++
		}
	}
	return written(inserted)
}

// parts are the models that are inserted together, or not: under SkipDefaultTransaction, GORM leaves the batches before the one
// that failed.
func (s create) parts(w *world) [][]variable {
	if s.form == "batches" && w.set.skips {
		return slices.Collect(slices.Chunk(s.vs, 2))
	}
	return [][]variable{s.vs}
}

func (s create) source(db string) string {
	switch s.form {
	case "slice":
		return call("%s.Create(&[]*Item{%s}).Error", db, listed(s.vs))
	case "batches":
		return call("%s.CreateInBatches(&[]*Item{%s}, 2).Error", db, listed(s.vs))
	case "map":
		v := s.vs[0]
		return call(`%s.Model(&Item{}).Create(map[string]any{"id": %s.ID, "name": %s.Name, "price": %s.Price, "seen": %s.Seen}).Error`, db, v, v, v, v)
	}
	return call("%s.Create(%s).Error", db, s.vs[0])
}

// upsert is Create with ON CONFLICT.
type upsert struct {
	vs   []variable
	form string
	one  bool
}

func upserts() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		s := upsert{form: rapid.SampledFrom([]string{"DoNothing", "DoUpdates", "UpdateAll"}).Draw(t, "form"), vs: distinct().Draw(t, "models")}
		s.one = len(s.vs) == 1 && rapid.Bool().Draw(t, "one")
		return s
	})
}

func (s upsert) isAllowed(w *world) bool {
	for _, h := range w.heldIn(s.vs) {
		if w.kind.blind && h.version == 0 {
			return false
		}
	}
	return true
}

func (s upsert) conflict() clause.OnConflict {
	switch s.form {
	case "DoNothing":
		return clause.OnConflict{DoNothing: true}
	case "UpdateAll":
		return clause.OnConflict{UpdateAll: true}
	}
	return clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"price"})}
}

func (s upsert) run(m *machine) result {
	tx := m.db.Clauses(s.conflict())
	if s.one {
		return answer(tx.Create(m.models[s.vs[0]]))
	}
	return answer(tx.Create(m.list(s.vs)))
}

func (s upsert) foretell(w *world) outcome {
	columns := priceColumn
	if s.form == "UpdateAll" {
		columns = allColumns &^ seenColumn
	}
	if s.form != "DoNothing" {
		for _, part := range s.parts(w) {
			if refused := part.compare(w, columns); refused != nil {
				return *refused
			}
		}
	}
	affected := int64(0)
	for _, h := range w.heldIn(s.vs) {
		_, isThere := w.rows[h.id]
		switch {
		case !isThere:
			w.insert(h)
		case s.form == "DoNothing":
			continue
		default:
			w.store(h.id, func(row *values) { row.take(h.values, columns) }, true)
			w.learn(h, h.upserted(columns))
		}
		affected++
	}
	if s.form == "DoNothing" {
		return written(affected)
	}
	return outcome{affected: unsaid} // MariaDB counts an updated row twice
}

// parts are the batches that GORM makes of it.
func (s upsert) parts(w *world) (parts []upsert) {
	if w.set.batch == 0 || s.one {
		return []upsert{s}
	}
	for vs := range slices.Chunk(s.vs, w.set.batch) {
		parts = append(parts, upsert{vs: vs, form: s.form})
	}
	return parts
}

// upserted is the columns whose values a model knows after an upsert: a new one knows its row then, a loaded one what it wrote.
func (h *held) upserted(columns set) set {
	if h.base == nil {
		return allColumns
	}
	return columns
}

// compare compares the models that were loaded, and those alone.
func (s upsert) compare(w *world, columns set) *outcome {
	o := outcome{failure: refusedAs, op: occ.OpUpsert}
	for i, h := range w.heldIn(s.vs) {
		if h.version == 0 && h.base == nil || w.kind.snapshot == nil && h.version == 0 {
			continue
		}
		if r := w.lookAt(h, h.version, columns, false); r != nil {
			r.index = i
			o.refused = append(o.refused, *r)
		}
	}
	if len(o.refused) == 0 {
		return nil
	}
	return &o
}

func (s upsert) source(db string) string {
	conflict := map[string]string{
		"DoNothing": "DoNothing: true", "UpdateAll": "UpdateAll: true",
		"DoUpdates": `Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"price"})`,
	}[s.form]
	if s.one {
		return call("%s.Clauses(clause.OnConflict{%s}).Create(%s).Error", db, conflict, s.vs[0])
	}
	return call("%s.Clauses(clause.OnConflict{%s}).Create(&[]*Item{%s}).Error", db, conflict, listed(s.vs))
}

// findOrCreate is FirstOrCreate into a new model, with Assign.
type findOrCreate struct {
	v      variable
	assign int // the price; 0: nothing is assigned
}

func findOrCreates() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return findOrCreate{v: anyVariable().Draw(t, "variable"), assign: rapid.IntRange(0, 3).Draw(t, "assign")}
	})
}

func (s findOrCreate) isAllowed(w *world) bool {
	row, isThere := w.rows[s.v.id()]
	return (!isThere || row.gone == 0) && !w.set.mayRefuse() // a soft-deleted one is the database's error
}

func (s findOrCreate) run(m *machine) result {
	r := m.world.kind.make(s.v.id())
	m.models[s.v] = r
	tx := m.db
	if s.assign != 0 {
		tx = tx.Assign(map[string]any{"price": s.assign})
	}
	return answer(tx.FirstOrCreate(r))
}

func (s findOrCreate) foretell(w *world) outcome {
	h := &held{id: s.v.id()}
	w.models[s.v] = h
	row, isThere := w.rows[h.id]
	if !isThere {
		h.price = s.assign
		return w.insert(h)
	}
	h.load(h.id, row, allColumns, true)
	w.loaded(h, 0)
	if s.assign != 0 {
		h.price = s.assign
		w.store(h.id, func(row *values) { row.price = s.assign }, true)
		w.learn(h, priceColumn)
	}
	return outcome{affected: unsaid}
}

func (s findOrCreate) source(db string) string {
	if s.assign != 0 {
		db = fmt.Sprintf(`%s.Assign(map[string]any{"price": %d})`, db, s.assign)
	}
	return fmt.Sprintf("%s = &Item{ID: %d}\nstep(%s.FirstOrCreate(%s).Error)", s.v, s.v.id(), db, s.v)
}

// criteria is a write by conditions: of no model, or of a version without a key.
type criteria struct {
	chain
	form  string
	id    int
	price int
}

var criteriaForms = []string{"Model", "Table", "G", "G and Expect", "Delete", "Delete ids", "Or"}

func criterias() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		s := criteria{
			form: rapid.SampledFrom(criteriaForms).Draw(t, "form"),
			id:   rapid.SampledFrom(ids).Draw(t, "id"), price: prices().Draw(t, "price"),
		}
		if s.form == "G and Expect" {
			s.expect = anyVariable().Draw(t, "expect")
		}
		if s.form == "Model" || s.form == "Delete" {
			s.below, s.unscoped = prices().Draw(t, "below"), rapid.Bool().Draw(t, "unscoped")
		}
		return s
	})
}

func (s criteria) isAllowed(w *world) bool {
	if s.form == "G and Expect" && w.models[s.expect].id != s.id && w.kind.last == 0 {
		return false // which of two rows' times is the later one is not part of the world
	}
	if w.set.cautious && (s.form == "Model" || s.form == "Delete" || s.form == "Or") {
		return false // the server wants a key
	}
	return s.chain.isAllowed(w, s.id) && !(s.form == "Table" && (w.kind.snapshot != nil || w.kind.xmin))
}

func (s criteria) run(m *machine) result {
	tx, kind := s.on(m), m.world.kind
	switch s.form {
	case "Model":
		return answer(tx.Model(kind.model()).Update("price", s.price))
	case "Table":
		return answer(tx.Table(m.named()).Where("id = ?", s.id).Updates(map[string]any{"price": s.price}))
	case "Delete":
		return answer(tx.Delete(kind.model()))
	case "Delete ids":
		return answer(tx.Delete(kind.model(), []int{s.id, s.id%3 + 1}))
	case "Or":
		return answer(tx.Model(kind.model()).Where("id = ?", s.id).Or("price < ?", s.price).Update("name", "or"))
	}
	var version any
	if s.form == "G and Expect" {
		version = m.versionOf(s.expect)
	}
	n, err := kind.updateG(m.db, s.id, s.price, version)
	return result{err, int64(n)}
}

func (s criteria) matches(id int, row values, w *world) bool {
	switch s.form {
	case "Model", "Delete":
		return s.sees(row) && s.holds(row)
	case "Table":
		return id == s.id
	case "Delete ids":
		return row.gone == 0 && (id == s.id || id == s.id%3+1)
	case "Or":
		return row.gone == 0 && (id == s.id || row.price < s.price)
	case "G and Expect":
		return row.gone == 0 && id == s.id && row.version == w.models[s.expect].version
	}
	return row.gone == 0 && id == s.id
}

func (s criteria) foretell(w *world) outcome {
	gone, affected := w.number(), int64(0)
	for _, id := range ids {
		row, isThere := w.rows[id]
		if !isThere || !s.matches(id, row, w) {
			continue
		}
		affected++
		switch s.form {
		case "Delete", "Delete ids":
			w.erase(id, s.unscoped, gone)
		case "Or":
			w.store(id, func(row *values) { row.name = "or" }, true)
		default:
			w.store(id, func(row *values) { row.price = s.price }, true)
		}
	}
	if s.form == "G and Expect" && affected == 0 {
		stale := w.lookAt(&held{id: s.id}, w.models[s.expect].version, 0, false)
		return outcome{failure: refusedAs, op: occ.OpUpdate, refused: []refusal{*stale}}
	}
	if w.kind.triggers && w.database == "mysql" {
		return outcome{affected: unsaid} // MariaDB counts rows that change
	}
	return written(affected)
}

func (s criteria) source(db string) string {
	from := s.from(db)
	switch s.form {
	case "Model":
		return call(`%s.Model(&Item{}).Update("price", %d).Error`, from, s.price)
	case "Table":
		return call(`%s.Table("items").Where("id = ?", %d).Updates(map[string]any{"price": %d}).Error`, from, s.id, s.price)
	case "Delete":
		return call("%s.Delete(&Item{}).Error", from)
	case "Delete ids":
		return call("%s.Delete(&Item{}, []int{%d, %d}).Error", from, s.id, s.id%3+1)
	case "Or":
		return call(`%s.Model(&Item{}).Where("id = ?", %d).Or("price < ?", %d).Update("name", "or").Error`, from, s.id, s.price)
	}
	expect := ""
	if s.form == "G and Expect" {
		expect = fmt.Sprintf(", occ.Expect(%s.Version)", s.expect)
	}
	return fmt.Sprintf(`{
_, err := gorm.G[Item](%s%s).Where("id = ?", %d).Update(context.Background(), "price", %d)
step(err)
}`, db, expect, s.id, s.price)
}

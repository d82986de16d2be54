package kinds_test

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// The table of payloads: every shape of a payload, through every path that takes one, of rows that are there or not, with a
// version that is current, stale or left out, for each sort of version. The expected outcome is not written down case by case: what
// plain GORM does to an equal table is right, but for the rules of versions.

// The keys of the table of payloads. Generated ones are others.
const (
	newID    = 900_000
	firstID  = 1_000_001
	secondID = 1_000_002
)

// payloadPath is a way to hand a payload to GORM.
type payloadPath struct {
	name string
	call func(of side, loaded, payload any) *gorm.DB
	// what it does where it succeeds
	inserts, updates bool
	fails            bool // where a row is there
	ofLoaded         bool // Model(loaded)
	isSave, byTable  bool
}

func (s side) newModel() any { return reflect.New(s.model).Interface() }

func payloadPaths() (paths []payloadPath) {
	for name, conflict := range map[string]*clause.OnConflict{
		"Create":                        nil,
		"Create with UpdateAll":         {UpdateAll: true},
		"Create with AssignmentColumns": {Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name", "price"})},
		"Create with DoNothing":         {DoNothing: true},
	} {
		create := func(db *gorm.DB, payload any) *gorm.DB {
			if conflict != nil {
				db = db.Clauses(*conflict)
			}
			return db.Create(payload)
		}
		p := payloadPath{name: name, inserts: true, updates: conflict != nil && !conflict.DoNothing, fails: conflict == nil}
		bare, byModel, byTable := p, p, p
		bare.call = func(of side, _, payload any) *gorm.DB { return create(of.db, payload) }
		byModel.name += " of Model"
		byModel.call = func(of side, _, payload any) *gorm.DB { return create(of.db.Model(of.newModel()), payload) }
		byTable.name, byTable.byTable = byTable.name+" of Table", true
		byTable.call = func(of side, _, payload any) *gorm.DB { return create(of.db.Table(of.table), payload) }
		paths = append(paths, bare, byModel, byTable)
	}
	return append(paths, updatePaths()...)
}

func updatePaths() []payloadPath {
	return []payloadPath{
		{name: "Updates by condition", updates: true, call: func(of side, _, payload any) *gorm.DB {
			return of.db.Model(of.newModel()).Where("id = ?", firstID).Updates(payload)
		}},
		{name: "Updates by table", updates: true, byTable: true, call: func(of side, _, payload any) *gorm.DB {
			return of.db.Table(of.table).Where("id = ?", firstID).Updates(payload)
		}},
		{name: "Updates of a loaded model", updates: true, ofLoaded: true, call: func(of side, loaded, payload any) *gorm.DB {
			return of.db.Model(loaded).Updates(payload)
		}},
		{name: "UpdateColumns of a loaded model", updates: true, ofLoaded: true, call: func(of side, loaded, payload any) *gorm.DB {
			return of.db.Model(loaded).UpdateColumns(payload)
		}},
		{name: "Save", inserts: true, updates: true, isSave: true, call: func(of side, _, payload any) *gorm.DB {
			return of.db.Save(payload)
		}},
		{name: "Save of another Model", inserts: true, updates: true, isSave: true, call: func(of side, _, payload any) *gorm.DB {
			return of.db.Model(of.newModel()).Save(payload)
		}},
		{name: "Save of a loaded Model", inserts: true, updates: true, isSave: true, ofLoaded: true, call: func(of side, loaded, payload any) *gorm.DB {
			return of.db.Model(loaded).Save(payload)
		}},
		{name: "Save by table", inserts: true, updates: true, isSave: true, byTable: true, call: func(of side, _, payload any) *gorm.DB {
			return of.db.Table(of.table).Save(payload)
		}},
	}
}

// said is the version that a payload brings for rows that are there.
type said string

const (
	saysNothing said = "no version"
	saysCurrent said = "the current version"
	saysStale   said = "a stale version"
)

// payloadCase is one combination.
type payloadCase struct {
	shape
	path payloadPath
	ids  []uint
	said said
}

func (c payloadCase) String() string {
	return fmt.Sprintf("%s of %s with the keys %v and %s", c.path.name, c.shape, c.ids, c.said)
}

func payloadCases() (cases []payloadCase) {
	for _, path := range payloadPaths() {
		for _, s := range shapes() {
			ids := [][]uint{{firstID}, {newID}, {0}}
			if s.isSlice {
				ids = [][]uint{{firstID, secondID}, {firstID, newID}, {secondID, 0, firstID}, {newID, 0}, {firstID}}
			}
			for _, ids := range ids {
				for _, said := range []said{saysNothing, saysCurrent, saysStale} {
					if said == saysNothing || ids[0] == firstID || ids[0] == secondID {
						cases = append(cases, payloadCase{s, path, ids, said})
					}
				}
			}
		}
	}
	return cases
}

// payloadKind is a sort of version in the table of payloads.
type payloadKind struct {
	kindCase
	form reflect.Type
}

func payloadKinds() []payloadKind {
	return []payloadKind{
		{kindOf[typedPart[occ.Version]]("occ.Version"), reflect.TypeFor[versionedForm[int64]]()},
		{kindOf[typedPart[*int64]]("*int64"), reflect.TypeFor[versionedForm[*int64]]()},
		{kindOf[typedPart[time.Time]]("time.Time"), reflect.TypeFor[versionedForm[time.Time]]()},
		{kindOf[typedPart[uuid.UUID]]("uuid.UUID"), reflect.TypeFor[versionedForm[uuid.UUID]]()},
		{kindOf[generatedPart[int64]]("generated int64", counting(func(n int64) any { return n })), reflect.TypeFor[versionedForm[int64]]()},
		{kindOf[databasePart[int64]]("database int64").with(databaseCounter), reflect.TypeFor[versionedForm[int64]]()},
		{kindOf[xminPart]("occ.Xmin").only("postgres"), reflect.TypeFor[partForm]()},
	}
}

// cases are all of the table on SQLite for the first kind, with TEST_LONG for all kinds. On servers, where a call takes longer,
// they are every fifth or seventeenth, and all with TEST_LONG=all.
func (k payloadKind) cases(database testdb.Database) []payloadCase {
	isFirst := k.name == "occ.Version"
	switch isSQLite := database.Like == "sqlite"; {
	case isSQLite && (isFirst || testdb.IsLong()), testdb.IsLongest():
		return payloadCases()
	case isSQLite || isFirst:
		return testdb.Every(payloadCases(), 5)
	}
	return testdb.Every(payloadCases(), 17)
}

// payloadTable is the two tables of a kind, with the plugin and without.
type payloadTable struct {
	kind          payloadKind
	here, control side
	old, current  []partOfKind // the models of the rows, from before the last write and after it
}

func openPayloadTable(t *testing.T, database testdb.Database, kind payloadKind) *payloadTable {
	db := Open(t, database, []any{kind.kind.new()}, kind.opts...)
	execAll(t, db, kind.setup[database.Like])
	plain := Reopen(t, db, gorm.Config{SkipDefaultTransaction: true}) // a panic of GORM's leaves its transaction open
	require.NoError(t, plain.AutoMigrate(&plainPart{}))
	return &payloadTable{
		kind:    kind,
		here:    side{db, "parts", kind.kind.typ, kind.form, kind.name != "occ.Xmin"},
		control: side{plain, "plain_parts", reflect.TypeFor[plainPart](), reflect.TypeFor[partForm](), false},
	}
}

// reset makes both tables hold the same two rows again.
func (tb *payloadTable) reset(t *testing.T) {
	t.Helper()
	require.NoError(t, tb.here.db.Exec("DELETE FROM parts").Error)
	require.NoError(t, tb.here.db.Exec("DELETE FROM plain_parts").Error)
	tb.old, tb.current = nil, nil
	for _, id := range []uint{firstID, secondID} {
		part := Part{ID: id, Name: "theirs", Price: 2}
		require.NoError(t, tb.control.db.Create(&plainPart{part}).Error)
		m := tb.kind.kind.new()
		*m.part() = part
		m.part().Price = 1
		require.NoError(t, tb.here.db.Create(m).Error)
		tb.old = append(tb.old, tb.kind.kind.copy(m))
		require.NoError(t, tb.here.db.Model(m).Update("price", 2).Error)
		tb.current = append(tb.current, m)
	}
}

// contents is what a payload of the case says of its rows.
func (tb *payloadTable) contents(c payloadCase) (rows []content) {
	for i, id := range c.ids {
		row := content{id: id, name: fmt.Sprint("mine ", i), price: 10 + i}
		for n, there := range []uint{firstID, secondID} {
			switch {
			case id != there:
			case c.said == saysCurrent:
				row.version = versionField(tb.current[n])
			case c.said == saysStale:
				row.version = versionField(tb.old[n])
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// result is what a call came to.
type result struct {
	err      error
	panicked any
	affected bool
	rows     map[string]string // what the rows hold, by their keys
	payload  any
	loaded   any
}

func (c payloadCase) run(t *testing.T, of side, loaded any, contents []content) (r result) {
	t.Helper()
	r.payload, r.loaded = c.build(of, contents), loaded
	func() {
		defer func() { r.panicked = recover() }()
		res := c.path.call(of, loaded, r.payload)
		r.err, r.affected = res.Error, res.RowsAffected > 0
	}()
	if r.panicked != nil {
		r.err = fmt.Errorf("panic: %v", r.panicked)
	}
	var parts []Part
	require.NoError(t, of.db.Session(&gorm.Session{NewDB: true}).Table(of.table).Find(&parts).Error)
	r.rows = map[string]string{}
	for _, p := range parts {
		key := shownKey(reflect.ValueOf(p.ID))
		for r.rows[key] != "" {
			key += "+"
		}
		r.rows[key] = fmt.Sprint(p.Name, " ", p.Price, " ", p.DeletedAt.Valid)
	}
	return r
}

// brings reports whether the payload says which version its rows are at.
func (c payloadCase) brings(kind payloadKind) bool {
	if kind.name == "occ.Xmin" && c.element != ofModel {
		return false // no column of the table
	}
	return c.said != saysNothing
}

// hits reports whether the call means rows that are there.
func (c payloadCase) hits() bool {
	return !c.path.inserts || slices.ContainsFunc(c.ids, func(id uint) bool { return id == firstID || id == secondID })
}

// names reports whether the call goes by the key of the model that it is given, of a single one.
func (c payloadCase) names() bool { return c.path.ofLoaded && !(c.path.isSave && c.isSlice) }

// refusal is the error that the versions ask for where plain GORM writes; nil if there is none.
func (c payloadCase) refusal(kind payloadKind) error {
	isUnloaded := c.element == ofModel && c.said == saysNothing && !c.names()
	switch {
	case c.path.name == "Updates by table" && isUnloaded && c.ids[0] == firstID:
		return occ.ErrVersionMissing // the payload is the model of the call: one that was never loaded
	case c.path.name == "Updates by table" && isUnloaded && c.ids[0] == newID:
		return occ.ErrStaleData // and one that is not there
	case !c.path.updates || !c.hits():
		return nil
	case c.said == saysStale && (c.brings(kind) || c.names()):
		return occ.ErrStaleData
	case c.path.isSave && isUnloaded:
		return occ.ErrVersionMissing
	}
	return nil
}

// differsFromGORM returns why what GORM itself reports of a case is not what it has done; "" where it is.
func (c payloadCase) differsFromGORM(dialect, what string) string {
	isSkipping := c.path.inserts && !c.path.updates && !c.path.fails
	switch {
	case what == "payload" && c.element == ofMap && c.isSlice:
		return "GORM adds the rows that come back to a slice of maps, or counts keys on from the last one"
	case what == "payload" && isSkipping && c.isSlice:
		return "GORM counts keys on from those of rows that were skipped"
	case what == "versions" && isSkipping && dialect == "mysql" && c.element != ofModel:
		return "DO NOTHING is an update there, of a key to itself, which the trigger of a database's version counts"
	case what == "affected" && isSkipping && dialect == "mysql":
		return "GORM counts the row that comes back for one that was skipped"
	}
	return ""
}

// versions are those that rows are at.
func (tb *payloadTable) versions(t *testing.T) map[string]any {
	t.Helper()
	rows := reflect.New(reflect.SliceOf(tb.here.model))
	require.NoError(t, tb.here.db.Find(rows.Interface()).Error)
	versions := map[string]any{}
	for i := range rows.Elem().Len() {
		m := rows.Elem().Index(i).Addr().Interface().(partOfKind)
		versions[fmt.Sprint(m.part().ID)] = versionIn(m)
	}
	return versions
}

// check runs a case on both tables and returns what is wrong with it, "" for nothing.
func (tb *payloadTable) check(t *testing.T, c payloadCase) string {
	t.Helper()
	tb.reset(t)
	before := tb.versions(t)
	loaded := tb.kind.kind.copy(tb.current[0])
	if c.said == saysStale {
		loaded = tb.kind.kind.copy(tb.old[0])
	}
	was, contents := versionIn(loaded), tb.contents(c)
	want := c.run(t, tb.control, &plainPart{*loaded.part()}, contents)
	got := c.run(t, tb.here, loaded, contents)
	after := tb.versions(t)
	refusal := c.refusal(tb.kind)
	switch {
	case got.panicked != nil:
		return fmt.Sprintf("panics: %v (GORM: %v)", got.panicked, want.err)
	case want.err != nil && got.err == nil:
		return tb.wrongVersions(c, got, before, after) // GORM cannot do it
	case want.err != nil || refusal != nil:
		if want.err == nil && !errors.Is(got.err, refusal) {
			return fmt.Sprintf("is not refused: %v", got.err)
		}
		return tb.wrongFailure(got, contents, was, before, after)
	case got.err != nil:
		return fmt.Sprintf("fails where GORM succeeds: %v", got.err)
	}
	return cmp.Or(tb.wrongResult(c, got, want), tb.wrongVersions(c, got, before, after), tb.wrongMemory(c, got, contents, before, after), tb.wrongHolder(t, before, after))
}

// wrongResult compares what a call did with what GORM did.
func (tb *payloadTable) wrongResult(c payloadCase, got, want result) string {
	dialect := tb.here.db.Name()
	switch {
	case !reflect.DeepEqual(want.rows, got.rows):
		return fmt.Sprintf("rows: %v instead of %v", got.rows, want.rows)
	case want.affected != got.affected && c.differsFromGORM(dialect, "affected") == "":
		return fmt.Sprintf("affected: %v instead of %v", got.affected, want.affected)
	case !reflect.DeepEqual(shownPayload(want.payload), shownPayload(got.payload)) && c.differsFromGORM(dialect, "payload") == "" && !tb.countsKeys(c):
		return fmt.Sprintf("payload: %v instead of %v", shownPayload(got.payload), shownPayload(want.payload))
	}
	return ""
}

// countsKeys reports whether GORM counts keys on from the last one, since the server returns none. The plugin leaves zero what is
// not certain.
func (tb *payloadTable) countsKeys(c payloadCase) bool {
	returns := slices.Contains(tb.control.db.Callback().Create().Clauses, "RETURNING")
	return !returns && c.path.inserts && c.path.updates && c.isSlice && c.element == ofModel
}

// wrongVersions wants the versions of the written rows to have moved, of no others, and every row to have one.
func (tb *payloadTable) wrongVersions(c payloadCase, got result, before, after map[string]any) string {
	countsSkipped := tb.kind.name == "database int64" && c.differsFromGORM(tb.here.db.Name(), "versions") != ""
	for id, version := range before {
		if now, isThere := after[id]; isThere && !countsSkipped && reflect.DeepEqual(version, now) != (got.rows[id] == "theirs 2 false") {
			return fmt.Sprintf("row %s was %q and is at version %v after %v", id, got.rows[id], now, version)
		}
	}
	for id, version := range after {
		if version == nil || reflect.ValueOf(version).IsZero() {
			return fmt.Sprintf("row %s has no version", id)
		}
	}
	return ""
}

// wrongHolder wants whoever holds the version of a row that was written to be refused.
func (tb *payloadTable) wrongHolder(t *testing.T, before, after map[string]any) string {
	holder := tb.kind.kind.copy(tb.current[0])
	if now, isThere := after[fmt.Sprint(firstID)]; isThere && reflect.DeepEqual(now, before[fmt.Sprint(firstID)]) {
		return ""
	}
	if err := tb.here.db.Model(holder).Update("name", "stale").Error; !errors.Is(err, occ.ErrStaleData) {
		return fmt.Sprintf("a stale holder is not refused: %v", err)
	}
	return ""
}

// wrongFailure wants a call that failed to have changed nothing, in the table and in memory.
func (tb *payloadTable) wrongFailure(got result, contents []content, was any, before, after map[string]any) string {
	if !reflect.DeepEqual(before, after) {
		return fmt.Sprintf("failed and left the versions %v", after)
	}
	for i, m := range tb.models(got.payload) {
		if !contents[i].holds(m) {
			return fmt.Sprintf("a failed call left version %v in the payload", versionIn(m))
		}
	}
	if now := versionIn(got.loaded.(partOfKind)); now != was {
		return fmt.Sprintf("a failed call left version %v in the loaded model", now)
	}
	return ""
}

// holds reports whether a model is at the version that it was given.
func (row content) holds(m partOfKind) bool {
	if !row.version.IsValid() {
		return versionField(m).IsZero()
	}
	return versionIn(m) == plainVersion(row.version.Interface())
}

// wrongMemory wants models to hold the versions of their rows.
func (tb *payloadTable) wrongMemory(c payloadCase, got result, contents []content, before, after map[string]any) string {
	for i, m := range tb.models(got.payload) {
		id := fmt.Sprint(m.part().ID)
		was, isThere := before[id]
		isWritten := after[id] != nil && !(isThere && reflect.DeepEqual(was, after[id]))
		isOwn := c.path.inserts || c.path.ofLoaded || c.said != saysNothing // else a payload of other rows: what it holds of this one was never read
		switch {
		case isWritten && isOwn && versionIn(m) != after[id]:
			return fmt.Sprintf("element %d holds version %v, its row %v", i, versionIn(m), after[id])
		case !(isWritten && isOwn) && !contents[i].holds(m):
			return fmt.Sprintf("element %d was not written and holds version %v", i, versionIn(m))
		}
	}
	loaded := got.loaded.(partOfKind)
	if now := after[fmt.Sprint(loaded.part().ID)]; c.names() && versionIn(loaded) != now {
		return fmt.Sprintf("the loaded model holds version %v, its row %v", versionIn(loaded), now)
	}
	return ""
}

// models are the elements of a payload that are models of the kind.
func (tb *payloadTable) models(payload any) (models []partOfKind) {
	for _, e := range elementsOf(payload) {
		if e.Type() == tb.here.model && e.CanAddr() {
			models = append(models, e.Addr().Interface().(partOfKind))
		}
	}
	return models
}

// TestPayloads runs the table.
func TestPayloads(t *testing.T) {
	t.Parallel()
	for _, kind := range payloadKinds() {
		for _, database := range testdb.All() {
			if len(kind.on) > 0 && !slices.Contains(kind.on, database.Like) {
				continue
			}
			t.Run(kind.name+"/"+database.Name, func(t *testing.T) {
				t.Parallel()
				tb := openPayloadTable(t, database, kind)
				for _, c := range kind.cases(database) {
					if wrong := tb.check(t, c); wrong != "" {
						t.Errorf("%s: %s", c, wrong)
					}
				}
			})
		}
	}
}

package proof

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// variable is a model in memory: the session that holds it, and the key of its row.
type variable string

func (v variable) id() int { return int(v[1] - '0') }

var (
	variables = []variable{"a1", "b1", "a2", "b2", "a3", "b3"}
	ids       = []int{1, 2, 3}
)

// step is a call: what it asks of GORM, what occ promises of it, and how it reads.
type step interface {
	isAllowed(w *world) bool
	run(m *machine) result
	foretell(w *world) outcome
	source(db string) string
}

// result is what GORM answered.
type result struct {
	err      error
	affected int64
}

func answer(tx *gorm.DB) result { return result{tx.Error, tx.RowsAffected} }
func only(err error) result     { return result{err, unsaid} }

// machine runs a program against a database and against the model, and writes down what it does.
type machine struct {
	world  *world
	outer  *gorm.DB // what other sessions use
	db     *gorm.DB // the session's own, which may be in a transaction
	models map[variable]record
	aside  *Aside // what a callback of others writes; nil: none does
	lines  []string
	steps  int
}

func newMachine(k kind, db *gorm.DB) *machine {
	m := &machine{world: newWorld(k, db.Name()), outer: db, db: db, models: map[variable]record{}}
	for _, v := range variables {
		m.models[v] = k.make(v.id())
		m.world.models[v] = &held{id: v.id()}
	}
	return m
}

func (m *machine) list(vs []variable) any {
	records := make([]record, len(vs))
	for i, v := range vs {
		records[i] = m.models[v]
	}
	return m.world.kind.list(records)
}

func (m *machine) versionOf(v variable) any { return m.world.kind.versionOf(m.models[v]) }

func (m *machine) line(format string, args ...any) {
	indent := strings.Repeat("\t", len(m.world.levels))
	m.lines = append(m.lines, indent+fmt.Sprintf(format, args...))
}

// found is a difference, on its way out of the transactions that are open: a program fails in one place, whatever the
// depth of its steps, or rapid would not shrink one failure to another.
type found string

// differs runs a program; it tells the first difference.
func (m *machine) differs(steps program) (difference string) {
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case found:
			difference = string(failure)
		default:
			panic(failure)
		}
	}()
	m.do(steps)
	return ""
}

// do runs steps one after the other.
func (m *machine) do(steps []step) {
	for _, s := range steps {
		if t, isTransaction := s.(transaction); isTransaction {
			m.transact(t)
			continue
		}
		if !s.isAllowed(m.world) {
			continue
		}
		m.line("%s", s.source(m.world.session()))
		m.steps++
		if m.world.set.mayRefuse() {
			m.settleOrRefuse(s)
			continue
		}
		want := s.foretell(m.world)
		m.settle(want, m.run(s))
	}
}

// run makes a panic an error, so that the program can be printed.
func (m *machine) run(s step) (r result) {
	defer func() {
		if failure := recover(); failure != nil {
			r = only(fmt.Errorf("%w: %v", errPanic, failure))
		}
	}()
	return s.run(m)
}

var errPanic = errors.New("panic")

// settle compares what the model foretold with what there is.
func (m *machine) settle(want outcome, got result) {
	m.promise(want)
	difference := m.compareError(want, got)
	if difference == "" {
		difference = m.compareRows()
	}
	if difference == "" {
		difference = m.compareMemory()
	}
	if difference == "" && m.aside != nil {
		difference = m.compareAside()
	}
	if difference != "" {
		panic(found(difference))
	}
}

// promise writes what is promised behind the step.
func (m *machine) promise(want outcome) {
	lines := strings.Split(m.lines[len(m.lines)-1], "\n")
	for i, line := range lines {
		if strings.Contains(line, "step(") || strings.HasSuffix(line, "}))") {
			lines[i] += " // " + want.String()
			break
		}
	}
	m.lines[len(m.lines)-1] = strings.Join(lines, "\n")
}

func (m *machine) compareError(want outcome, got result) string {
	if have := failureOf(got.err); have != want.failure {
		return fmt.Sprintf("want %s, got the error: %v", want, got.err)
	}
	if want.failure == refusedAs {
		return m.compareRefusal(want, got.err)
	}
	if m.world.database == "mysql" && (m.world.kind.triggers || m.world.kind.snapshot != nil) {
		return "" // MariaDB counts rows that change, and no version does
	}
	if want.failure == none && want.affected != unsaid && got.affected != unsaid && want.affected != got.affected {
		return fmt.Sprintf("want %d rows affected, got %d", want.affected, got.affected)
	}
	return ""
}

func failureOf(err error) failure {
	switch {
	case err == nil:
		return none
	case errors.Is(err, errPanic):
		return panicked
	case errors.Is(err, occ.ErrMergeConflict):
		return inConflict
	case errors.Is(err, occ.ErrStaleData):
		return refusedAs
	case errors.Is(err, gorm.ErrRecordNotFound):
		return notFound
	case errors.Is(err, errUndone):
		return undone
	}
	return duplicate
}

func (m *machine) compareRefusal(want outcome, err error) string {
	var got *occ.StaleDataError
	if !errors.As(err, &got) {
		return fmt.Sprintf("want a StaleDataError, got %T", err)
	}
	complain := func(what string) string { return fmt.Sprintf("want %s, got another %s: %+v", want, what, got) }
	switch {
	case got.Err != nil:
		return complain("cause")
	case got.Op != want.op:
		return complain("operation")
	case got.Table != m.lastName() && got.Table != "i":
		return complain("table")
	case len(got.Rows) != len(want.refused):
		return complain("number of rows")
	}
	isMissing := false
	for i, r := range want.refused {
		isMissing = isMissing || r.reason == occ.ReasonMissing
		if what := m.compareStale(r, got.Rows[i]); what != "" {
			return complain(what)
		}
	}
	if errors.Is(err, occ.ErrVersionMissing) != isMissing {
		return complain("sentinel")
	}
	return ""
}

func (m *machine) compareStale(want refusal, got occ.StaleRow) string {
	key := map[string]any{"id": want.id}
	if want.id == 0 {
		key = map[string]any{}
	}
	switch {
	case got.Index != want.index:
		return "index"
	case !reflect.DeepEqual(got.PrimaryKey, key):
		return "primary key"
	case got.Reason != want.reason:
		return "reason"
	case (got.Actual == nil) != (want.actual == nil) && (want.actual == nil || *want.actual != 0 || m.world.kind.snapshot != nil):
		return "actual version"
	case m.world.kind.snapshot != nil:
		return ""
	case !m.world.means(want.id, want.expected, plain(got.Expected)):
		return "expected version"
	case want.actual != nil && !m.world.means(want.id, *want.actual, plain(got.Actual)):
		return "actual version"
	}
	return ""
}

func (m *machine) table() string { return m.outer.NamingStrategy.TableName("") }

// lastName is what GORM calls the table.
func (m *machine) lastName() string { return m.table()[strings.LastIndex(m.table(), ".")+1:] }

// named is the table as the caller names it to GORM, which takes two words for a name and an alias.
func (m *machine) named() string {
	if strings.Contains(m.table(), " ") {
		return m.quoted()
	}
	return m.table()
}

// quoted is the table for SQL.
func (m *machine) quoted() string { return m.outer.Statement.Quote(m.table()) }

func (m *machine) compareRows() string {
	rows, err := m.world.kind.all(m.db)
	if err != nil {
		return fmt.Sprintf("reading the rows: %v", err)
	}
	if len(rows) != len(m.world.rows) {
		return fmt.Sprintf("want the rows %+v, got %s", m.world.rows, show(rows...))
	}
	for _, row := range rows {
		want, isThere := m.world.rows[row.columns().ID]
		if !isThere || !m.isSame(want, row) {
			return fmt.Sprintf("want row %d to be %s, got %s", row.columns().ID, m.show(row.columns().ID, want), show(row))
		}
	}
	return ""
}

func (m *machine) compareMemory() string {
	for _, v := range variables {
		want := m.world.models[v]
		if want.or != nil && !m.isSame(want.values, m.models[v]) {
			want.version = *want.or
		}
		want.or = nil
		if !m.isSame(want.values, m.models[v]) {
			return fmt.Sprintf("want %s in memory to be %s, got %s", v, m.show(want.id, want.values), show(m.models[v]))
		}
	}
	return ""
}

func (m *machine) isSame(want values, got record) bool {
	c := got.columns()
	if c.Name != want.name || c.Price != want.price || c.Seen != want.seen || c.DeletedAt.Valid != (want.gone != 0) {
		return false
	}
	return m.world.kind.snapshot != nil || m.world.means(c.ID, want.version, plain(m.world.kind.versionOf(got)))
}

func (m *machine) show(id int, v values) string {
	at := any(int64(v.version))
	if m.world.kind.last == 0 {
		at = m.world.known[known{id, v.version}]
	}
	return fmt.Sprintf("{Name:%q Price:%d Seen:%d deleted:%t Version:%v}", v.name, v.price, v.seen, v.gone != 0, at)
}

func show(records ...record) string {
	var texts []string
	for _, r := range records {
		texts = append(texts, fmt.Sprintf("%+v", reflect.ValueOf(r).Elem().Interface()))
	}
	return strings.Join(texts, ", ")
}

// String is what a step is to leave, in words.
func (o outcome) String() string {
	switch {
	case o.failure == refusedAs:
		var texts []string
		for _, r := range o.refused {
			texts = append(texts, fmt.Sprintf("%d: row %d %s", r.index, r.id, r.reason))
		}
		return fmt.Sprintf("%s refused, %s", o.op, strings.Join(texts, ", "))
	case o.failure != none:
		return string(o.failure)
	case o.affected == unsaid:
		return "no error"
	}
	return fmt.Sprintf("no error, %d rows", o.affected)
}

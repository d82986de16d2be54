package tx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/value"
)

type (
	account struct {
		ID      uint
		Version int64 `gorm:"version"`
	}
	card struct {
		ID      uint
		Version int64 `gorm:"version"`
	}
)

func versionFieldOf(t *testing.T, model any) *kind.Field {
	t.Helper()
	parsed, err := schema.Parse(model, &sync.Map{}, schema.NamingStrategy{})
	require.NoError(t, err)
	named := dialect.Named("sqlite")
	kinds := kind.Kinds{Dialect: &named, ColumnType: func(*schema.Field) string { return "bigint" }, Now: time.Now}
	field, err := kinds.FindVersionField(parsed)
	require.NoError(t, err)
	return field
}

// remember returns the memory of a model as a write that is about to advance its version makes it.
func remember(field *kind.Field, model any) Memory {
	rv := reflect.ValueOf(model).Elem()
	ctx := context.Background()
	return Memory{Field: field, Model: rv, Version: field.Of(ctx, rv), Key: value.KeyOfModel(ctx, field.Schema, rv)}
}

// advance is a write of a model, noted in a journal.
func (j *Journal) advance(field *kind.Field, a *account) {
	j.Memories = append(j.Memories, remember(field, a))
	a.Version++
}

func TestGoingBackPutsVersionsBack(t *testing.T) {
	t.Parallel()
	ctx, field := context.Background(), versionFieldOf(t, &account{})
	for _, tt := range []struct {
		name string
		mark int
		want []int64 // of the two models
		kept int
	}{
		{"to the beginning, the last write first", 0, []int64{1, 5}, 0},
		{"to a mark, what came before stays", 1, []int64{2, 5}, 1},
		{"to the end, nothing changes", 3, []int64{3, 6}, 3},
		{"to a mark that an earlier rollback has passed", 9, []int64{3, 6}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var j Journal
			a, b := &account{ID: 1, Version: 1}, &account{ID: 2, Version: 5}
			j.advance(field, a)
			j.advance(field, a)
			j.advance(field, b)

			j.RollBackTo(ctx, tt.mark)

			require.Equal(t, tt.want, []int64{a.Version, b.Version})
			require.Len(t, j.Memories, tt.kept)
		})
	}
}

func TestPutBack(t *testing.T) {
	t.Parallel()
	ctx, field := context.Background(), versionFieldOf(t, &account{})
	for _, tt := range []struct {
		name   string
		change func(m *Memory, a *account) // after the write
		want   account
	}{
		{"of a model that holds the row still", func(*Memory, *account) {}, account{1, 3}},
		{"of a variable that holds another row since, nothing", func(_ *Memory, a *account) { *a = account{2, 8} }, account{2, 8}},
		{"of a variable that holds no row since, nothing", func(_ *Memory, a *account) { *a = account{} }, account{}},
		{"of a memory without a key, whatever the model holds", func(m *Memory, a *account) { m.Key, a.ID = "", 2 }, account{2, 3}},
		{"of a key that the write has changed, the key too", func(m *Memory, a *account) {
			a.ID = 7
			m.Key, m.Renamed = value.KeyOfModel(ctx, field.Schema, reflect.ValueOf(a).Elem()), []any{uint(1)}
		}, account{1, 3}},
		{"of a model that was never loaded, the zero value", func(m *Memory, _ *account) { m.Version = nil }, account{1, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &account{1, 3}
			m := remember(field, a)
			a.Version = 4
			tt.change(&m, a)

			PutBack(ctx, []Memory{m})

			require.Equal(t, tt.want, *a)
		})
	}
	t.Run("of a model that was passed by value, nothing", func(t *testing.T) {
		t.Parallel()
		a := account{1, 3}
		require.NotPanics(t, func() {
			PutBack(ctx, []Memory{{Field: field, Model: reflect.ValueOf(a), Version: int64(1)}})
		})
		require.Equal(t, account{1, 3}, a)
	})
}

func TestSavepointsOfTheCaller(t *testing.T) {
	t.Parallel()
	ctx, field := context.Background(), versionFieldOf(t, &account{})
	for _, tt := range []struct {
		name string
		to   string
		want int64
	}{
		{"the first one", "a", 1},
		{"the second one", "b", 2},
		{"one whose name was used again is the later one", "c", 3},
		{"one that nobody has set leaves memory alone", "d", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			js := Journals{Dialect: &dialect.Dialect{}}
			j := Journal{state: dialect.Aborted, failure: errors.New("a statement failed")}
			a := &account{1, 1}
			for _, names := range [][]string{{"a", "c"}, {"b"}, {"c"}} {
				for _, name := range names {
					js.mark(&j, name)
				}
				j.advance(field, a)
			}

			j.wentBackTo(ctx, tt.to)

			require.Equal(t, tt.want, a.Version)
			require.NoError(t, j.ended(), "the transaction can be used again")
		})
	}
}

func TestAfterGoingBack(t *testing.T) {
	t.Parallel()
	first, second := errors.New("the first"), errors.New("the second")
	for _, tt := range []struct {
		name   string
		before dialect.State
		err    error
		want   dialect.State
		cause  error
	}{
		{"an open transaction stays open", dialect.Open, nil, dialect.Open, nil},
		{"an aborted one is open again", dialect.Aborted, nil, dialect.Open, nil},
		{"where it failed, part of it may be there still", dialect.Open, second, dialect.Aborted, second},
		{"where it failed, an aborted one keeps its first cause", dialect.Aborted, second, dialect.Aborted, first},
		{"where it failed, one that is gone stays gone", dialect.Gone, second, dialect.Gone, first},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := Journal{state: tt.before}
			if tt.before != dialect.Open {
				j.failure = first
			}

			j.wentBack(tt.err)

			require.Equal(t, tt.want, j.state)
			require.ErrorIs(t, j.ended(), tt.cause)
		})
	}
}

func TestNestedCallsAreOne(t *testing.T) {
	t.Parallel()
	ctx, field := context.Background(), versionFieldOf(t, &account{})
	var j Journal
	a, b := &account{1, 1}, &account{2, 1}
	idOf := func(a *account) RowID {
		return RowID{field.Schema, value.KeyOfModel(ctx, field.Schema, reflect.ValueOf(a).Elem())}
	}
	j.advance(field, a)
	require.Nil(t, j.WrittenRows(), "no call is under way")

	j.Enter()
	require.Empty(t, j.WrittenRows(), "what was written before is not the call's")
	j.advance(field, a)
	j.Note(reflect.ValueOf(a).Elem())
	j.Enter()
	j.advance(field, b)
	require.Len(t, j.WrittenRows(), 2)
	require.Equal(t, int64(2), j.WrittenRows()[idOf(a)][0].Version)
	j.Leave()
	require.Len(t, j.WrittenRows(), 2, "the outer call has not ended")
	require.Len(t, j.written[reflect.TypeFor[account]()], 1)

	j.RollBackTo(ctx, 2)
	require.Len(t, j.WrittenRows(), 1, "b was rolled back")
	j.advance(field, b)
	require.Contains(t, j.WrittenRows(), idOf(b))

	j.Leave()
	require.Nil(t, j.WrittenRows())
	require.Nil(t, j.written)
	require.Len(t, j.Memories, 3, "what the transaction has written outlives the call")
	require.Equal(t, []account{{1, 3}, {2, 2}}, []account{*a, *b})
}

func TestTablesOfAJournal(t *testing.T) {
	t.Parallel()
	ofAccounts, ofCards := versionFieldOf(t, &account{}), versionFieldOf(t, &card{})

	j := Journal{Memories: []Memory{{Field: ofAccounts}, {Field: ofCards}, {Field: ofAccounts}}}

	require.Equal(t, []string{"accounts", "cards"}, j.Tables())
	require.Empty(t, (&Journal{}).Tables())
}

func TestATransactionHasOneJournal(t *testing.T) {
	t.Parallel()
	var js Journals
	mine, other := &sql.Tx{}, &sql.Tx{}
	require.Nil(t, js.Of(mine))

	j, isNew := js.Begin(mine)
	require.True(t, isNew)

	for name, pool := range map[string]gorm.ConnPool{"itself": mine, "with prepared statements": &gorm.PreparedStmtTX{Tx: mine}} {
		again, isNew := js.Begin(pool)
		require.False(t, isNew, name)
		require.Same(t, j, again, name)
		require.Same(t, j, js.Of(pool), name)
	}
	require.Nil(t, js.Of(other))
	require.Nil(t, js.Of(&sql.DB{}), "a pool is no transaction")

	js.End(other)
	require.Same(t, j, js.Of(mine))
	js.End(mine)
	require.Nil(t, js.Of(mine))
	require.Zero(t, js.N.Load())
}

func TestNotedKeysAreReadOnce(t *testing.T) {
	t.Parallel()
	relation := &schema.Relationship{FieldSchema: versionFieldOf(t, &account{}).Schema}
	texts := 0
	textOf := func(parent reflect.Value) string { texts++; return fmt.Sprint(parent.Field(0).Interface()) }
	var j Journal
	j.Enter()
	require.Empty(t, j.NotedKeys(relation, textOf))

	for id := range uint(10) {
		j.Note(reflect.ValueOf(&account{id, 1}).Elem())
		require.Len(t, j.NotedKeys(relation, textOf), int(id)+1)
	}

	require.Equal(t, 10, texts, "each model's text was made once, however often the keys were asked for")
	j.Leave()
	require.Empty(t, j.NotedKeys(relation, textOf), "the call has ended")
}

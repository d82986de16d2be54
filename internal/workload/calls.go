package workload

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/history"
)

// call is one of GORM's or the library's, on a model that was loaded.
type call[M any, R row[M]] struct {
	name         string
	action       history.Action
	op           occ.Op
	value        bool // it writes a new one
	leavesModel  bool // at its version
	leavesFields bool // as they were
	run          func(db *gorm.DB, m R, value int64) (adds int64, err error)
}

// writes are the compared calls that change a value.
func (t table[M, R]) writes() []call[M, R] {
	whole := func(name string, save func(db *gorm.DB, m R) *gorm.DB) call[M, R] {
		return t.update(name, func(db *gorm.DB, m R, value int64) (int64, error) {
			m.body().Value, m.body().Added = value, m.body().Added+1
			return 1, save(db, m).Error
		})
	}
	some := func(name string, update func(db *gorm.DB, m R, set map[string]any) *gorm.DB) call[M, R] {
		return t.update(name, func(db *gorm.DB, m R, value int64) (int64, error) {
			return 1, update(db, m, map[string]any{"value": value, "added": m.body().Added + 1}).Error
		})
	}
	return append(t.moreWrites(),
		whole("Save", func(db *gorm.DB, m R) *gorm.DB { return db.Save(m) }),
		whole("Updates of itself", func(db *gorm.DB, m R) *gorm.DB { return db.Updates(m) }),
		whole("Select(*).Updates", func(db *gorm.DB, m R) *gorm.DB { return db.Select("*").Updates(m) }),
		whole("Save of a slice", func(db *gorm.DB, m R) *gorm.DB { return db.Save([]*M{m}) }),
		whole("Save with FullSaveAssociations", func(db *gorm.DB, m R) *gorm.DB {
			return db.Session(&gorm.Session{FullSaveAssociations: true}).Save(m)
		}),
		some("Updates(map)", func(db *gorm.DB, m R, set map[string]any) *gorm.DB { return db.Model(m).Updates(set) }),
		some("Updates(map), skipping hooks", func(db *gorm.DB, m R, set map[string]any) *gorm.DB {
			return db.Session(&gorm.Session{SkipHooks: true}).Model(m).Updates(set)
		}),
		some("UpdateColumns", func(db *gorm.DB, m R, set map[string]any) *gorm.DB { return db.Model(m).UpdateColumns(set) }),
		some("Updates where", func(db *gorm.DB, m R, set map[string]any) *gorm.DB {
			return db.Model(m).Where("value > 0").Or("added >= 0").Updates(set)
		}),
	)
}

func (t table[M, R]) update(name string, run func(db *gorm.DB, m R, value int64) (int64, error)) call[M, R] {
	return call[M, R]{name: name, action: history.Write, op: occ.OpUpdate, value: true, run: run}
}

func (t table[M, R]) moreWrites() []call[M, R] {
	calls := []call[M, R]{
		t.update("Update", func(db *gorm.DB, m R, value int64) (int64, error) { return 0, db.Model(m).Update("value", value).Error }),
		t.update("Updates(struct)", func(db *gorm.DB, m R, value int64) (int64, error) {
			payload := R(new(M))
			payload.body().Value, payload.body().Added = value, m.body().Added+1
			return 1, db.Model(m).Updates(payload).Error
		}),
		t.expression(),
	}
	if !t.isSnapshot {
		calls = append(calls, t.upsert(), t.expect(), t.generic())
	}
	if t.canBeTouched {
		calls = append(calls, call[M, R]{name: "Touch", action: history.Write, op: occ.OpTouch, run: func(db *gorm.DB, m R, _ int64) (int64, error) {
			return 0, occ.Touch(db, m)
		}})
	}
	return calls
}

// expression leaves the model with a count that the row is past.
func (t table[M, R]) expression() call[M, R] {
	c := t.update("Updates(expression)", func(db *gorm.DB, m R, value int64) (int64, error) {
		return 1, db.Model(m).Updates(map[string]any{"value": value, "added": gorm.Expr("added + 1")}).Error
	})
	c.leavesFields = true
	return c
}

// upsert is compared, since the model was loaded.
func (t table[M, R]) upsert() call[M, R] {
	c := t.update("Create on conflict update", func(db *gorm.DB, m R, value int64) (int64, error) {
		m.body().Value, m.body().Added = value, m.body().Added+1
		return 1, db.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"value", "added"}),
		}).Create(m).Error
	})
	c.op = occ.OpUpsert
	return c
}

func (t table[M, R]) expect() call[M, R] {
	c := t.update("Expect", func(db *gorm.DB, m R, value int64) (int64, error) {
		b := m.body()
		return 1, db.Model(new(M)).Clauses(occ.Expect(m.version())).Where("id = ?", b.ID).
			Updates(map[string]any{"value": value, "added": b.Added + 1}).Error
	})
	c.leavesModel = true
	return c
}

func (t table[M, R]) generic() call[M, R] {
	c := t.update("gorm.G with Expect", func(db *gorm.DB, m R, value int64) (int64, error) {
		payload := new(M)
		*R(payload).body() = Body{Value: value, Added: m.body().Added + 1}
		_, err := gorm.G[M](db, occ.Expect(m.version())).Where("id = ?", m.body().ID).Updates(db.Statement.Context, *payload)
		return 1, err
	})
	c.leavesModel = true
	return c
}

func (t table[M, R]) deletes() []call[M, R] {
	remove := func(name string, run func(db *gorm.DB, m R) error) call[M, R] {
		return call[M, R]{name: name, action: history.Delete, op: occ.OpDelete, leavesModel: !t.isSoft, run: func(db *gorm.DB, m R, _ int64) (int64, error) {
			return 0, run(db, m)
		}}
	}
	return []call[M, R]{
		remove("Delete", func(db *gorm.DB, m R) error { return db.Delete(m).Error }),
		remove("Delete of a slice", func(db *gorm.DB, m R) error { return db.Delete([]*M{m}).Error }),
	}
}

func (t table[M, R]) verifies() call[M, R] {
	return call[M, R]{name: "Verify", action: history.Verify, op: occ.OpVerify, leavesModel: true, run: func(db *gorm.DB, m R, _ int64) (int64, error) {
		return 0, occ.Verify(db, m)
	}}
}

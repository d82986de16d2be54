package workload

import (
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/history"
)

// several writes rows of one table in one call: all of them, or none.
func (t table[M, R]) several(sc *scope, ids []uint) error {
	var models []*M
	var operations []history.Operation
	byCall := sc.chance(50)
	for _, id := range ids {
		m, ok := t.holding(sc, id)
		if !ok || sc.written[t.row(id)] {
			continue
		}
		o := t.operation(sc, id, "Save of several", history.Write)
		o.Expected, o.Value, o.Adds = t.at(m), sc.next(), 1
		models, operations = append(models, (*M)(m)), append(operations, o)
	}
	if len(models) == 0 {
		return nil
	}
	before := t.versionsOf(models)
	err := t.saveSeveral(sc, models, operations, byCall)
	t.noteSeveral(sc, models, operations, before, err)
	return err
}

func (t table[M, R]) saveSeveral(sc *scope, models []*M, operations []history.Operation, byCall bool) error {
	if byCall {
		for i := range operations {
			operations[i].Call, operations[i].Value = "Updates(map) of several", operations[0].Value
		}
		return sc.db.Model(&models).Updates(map[string]any{"value": operations[0].Value, "added": gorm.Expr("added + 1")}).Error
	}
	for i, m := range models {
		R(m).body().Value = operations[i].Value
		R(m).body().Added++
		operations[i].Count = sc.counted(operations[i].Row, R(m).body().Added)
	}
	return sc.db.Save(&models).Error
}

func (t table[M, R]) versionsOf(models []*M) (versions []string) {
	for _, m := range models {
		versions = append(versions, t.at(m))
	}
	return versions
}

func (t table[M, R]) noteSeveral(sc *scope, models []*M, operations []history.Operation, before []string, err error) {
	ended := sc.recorder.Now()
	for i, o := range operations {
		o.Ended = ended
		if err == nil {
			o.Version = t.at(models[i])
		} else if !t.isSnapshot && t.at(models[i]) != before[i] {
			sc.Report("model changed", o.String()+": the model is at "+t.at(models[i]))
		}
		delete(sc.held, o.Row)
		if sc.explain(&o, t.traits, occ.OpUpdate, err) {
			sc.note(o)
		}
	}
}

package workload

import (
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// Body is what rows of all kinds of versions have in common. A value is never written twice; Added is counted up by
// writes that have read it.
type Body struct {
	ID    uint `gorm:"primaryKey;autoIncrement:false"`
	Value int64
	Added int64
}

func (b *Body) body() *Body { return b }

// The models: one for each kind of version.
type (
	Counted struct {
		Body
		occ.Version
	}
	SoftDeleted struct {
		Body
		occ.Version
		DeletedAt gorm.DeletedAt
	}
	Dated struct {
		Body
		Version time.Time `gorm:"version;precision:6"`
	}
	Random struct {
		Body
		Version string `gorm:"version;size:36"`
	}
	Triggered struct {
		Body
		Version int64 `gorm:"version:database;not null;default:1"`
	}
	Unversioned struct {
		Body
		occ.Snapshot
	}
	System struct {
		Body
		occ.Xmin
	}
)

func (m *Counted) version() any     { return m.Version }
func (m *SoftDeleted) version() any { return m.Version }
func (m *Dated) version() any       { return m.Version }
func (m *Random) version() any      { return m.Version }
func (m *Triggered) version() any   { return m.Version }
func (m *Unversioned) version() any { return m.Snapshot }
func (m *System) version() any      { return m.Xmin }

// row is a pointer to one of the models.
type row[M any] interface {
	*M
	body() *Body
	version() any
}

// traits are what calls on a model can rely on.
type traits struct {
	name         string
	counts       bool // versions are 1, 2, 3...
	isSnapshot   bool // the values are the version
	isSoft       bool
	byDatabase   bool
	canBeTouched bool
}

// registers are a table of every kind of version that the database has.
func registers(db *gorm.DB) []register {
	registers := []register{
		table[Counted, *Counted]{traits{name: "counteds", counts: true, canBeTouched: true}},
		table[SoftDeleted, *SoftDeleted]{traits{name: "soft_deleteds", counts: true, canBeTouched: true, isSoft: true}},
		table[Dated, *Dated]{traits{name: "dateds", canBeTouched: true}},
		table[Random, *Random]{traits{name: "randoms", canBeTouched: true}},
		table[Triggered, *Triggered]{traits{name: "triggereds", counts: true, byDatabase: true}},
		table[Unversioned, *Unversioned]{traits{name: "unversioneds", isSnapshot: true}},
	}
	if db.Name() == "postgres" {
		registers = append(registers, table[System, *System]{traits{name: "systems", byDatabase: true}})
	}
	return registers
}

// text is a version as histories have it; empty for one that does not tell which it is.
func text(version any) string {
	switch v := version.(type) {
	case nil, occ.Snapshot:
		return ""
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(version)
}

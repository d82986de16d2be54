package declare

import (
	"database/sql"
	"time"

	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
)

type base struct {
	ID uint
	occ.Version
}

type Hidden struct {
	Key  uint `gorm:"primaryKey"`
	base      // want `field base of Hidden is unexported`
}

type HiddenField struct {
	ID      uint
	version occ.Version // want `field version of HiddenField is unexported`
}

type Two struct { // want `Two has two version fields, Version and Revision: keep one`
	ID uint
	occ.Version
	Revision int `gorm:"version"`
}

type Unserved struct {
	ID      uint
	Version float64 `gorm:"version"` // want `field Version of Unserved cannot be a version: no kind of version serves type float64`
}

type Bytes struct {
	ID      uint
	Version []byte `gorm:"version"` // want `no kind of version serves type \[\]byte`
}

type Named struct {
	ID      uint
	Version string `gorm:"version:counter"` // want `the kind "counter" does not serve type string`
}

type Key struct {
	ID      uint
	Version int `gorm:"version;primaryKey"` // want `the primary key names the row`
}

type ReadOnly struct {
	ID      uint
	Version int `gorm:"version;->"` // want `remove the permission tag`
}

type Encoded struct {
	ID      uint
	Version int `gorm:"version;serializer:json"` // want `a version has no serializer`
}

type Plain struct{ ID uint }

type Child struct {
	ID      uint
	PlainID uint
	Plain   Plain  `gorm:"touch"` // want `touch needs a version, and Plain has none`
	Parts   []Part `gorm:"touch"` // want `touch is for a belongs-to association`
	occ.Version
}

type Part struct {
	ID     uint
	GoodID uint
	Good   *Good `gorm:"touch"`
}

type Good struct {
	gorm.Model
	occ.Version
}

type (
	Pointer struct {
		ID      uint
		Version *int32 `gorm:"version"`
	}
	Nullable struct {
		ID      uint
		Version sql.NullInt64 `gorm:"version"`
	}
	Null struct {
		ID      uint
		Version sql.Null[uint8] `gorm:"version"`
	}
	Clock struct {
		ID      uint
		Changed time.Time `gorm:"version"`
	}
	Random struct {
		ID      uint
		Version [16]byte `gorm:"version"`
	}
	Own struct {
		ID      uint
		Version float64 `gorm:"version:lamport"`
	}
	Database struct {
		ID      uint
		Version []byte `gorm:"version:database"`
	}
	Writable struct {
		ID      uint
		Version int `gorm:"version;<-"`
	}
	Ignored struct {
		ID      uint
		Version float64 `gorm:"-"`
	}
	Embedded struct {
		Base Good `gorm:"embedded"`
		Name string
	}
	Again struct {
		Good
		Version int `gorm:"version"`
	}
)

// Generic may be any.
type Generic[V any] struct {
	ID      uint
	Version V `gorm:"version"`
}

// Diff and editor are no models.
type Diff struct{ Old, New occ.Version }

type editor struct {
	name    string
	version occ.Version
}

func ignores() {
	_ = editor{name: "x", version: 1}
	_ = HiddenField{version: 1}
	/* want `occvet:ignore needs a reason` */ //occvet:ignore
	_ = 0                                     //occvet:ignored is no such comment
}

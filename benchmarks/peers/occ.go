package peers

import (
	"errors"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/benchmarks/rows"
)

// openOcc is GORM with the plugin. The calls are those of GORM without any check.
func openOcc(c Conn, shape rows.Shape) (Session, error) {
	db, err := openDB(c, occ.New())
	if err != nil {
		return nil, err
	}
	return gormSessionOf[occ.Version](db, shape), nil
}

// openLean leaves out the default transaction where one statement does all the work. Where no write has one, it is occ alone.
func openLean(c Conn, shape rows.Shape) (Session, error) {
	if c.Setting.SkipDefaultTransaction {
		return nil, ErrUnsupported
	}
	db, err := openDB(c, occ.New(occ.WithLeanTransactions()))
	if err != nil {
		return nil, err
	}
	return gormSessionOf[occ.Version](db, shape), nil
}

func openBare(c Conn, shape rows.Shape) (Session, error) {
	db, err := openDB(c)
	if err != nil {
		return nil, err
	}
	return gormSessionOf[occ.Version](db, shape), nil
}

// refusal is ErrStale for what occ refuses.
func refusal(err error) error {
	if errors.Is(err, occ.ErrStaleData) {
		return ErrStale
	}
	return err
}

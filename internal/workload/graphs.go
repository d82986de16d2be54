package workload

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// Rows that belong together: a choir with its patron, singers and songs, and a cart that its lines touch.
type (
	Choir struct {
		ID       uint
		Saves    int64
		PatronID *uint
		Patron   *Patron
		Singers  []Singer
		Songs    []*Song `gorm:"many2many:choir_songs"`
		occ.Version
	}
	Patron struct {
		ID    uint
		Saves int64
		occ.Version
	}
	Singer struct {
		ID      uint
		ChoirID *uint
		Saves   int64
		occ.Version
	}
	Song struct {
		ID    uint
		Saves int64
		occ.Version
	}
	Cart struct {
		ID    uint
		Owner string
		occ.Version
	}
	CartLine struct {
		ID     uint
		CartID uint
		Cart   *Cart `gorm:"touch"`
		Pieces int64
		occ.Version
	}
)

const singers = 3

// graphs are the choir and the cart that all sessions share, and how often they were written.
type graphs struct {
	choir, cart    uint
	saves, touches certainty
}

func newChoir() Choir {
	return Choir{Patron: &Patron{}, Singers: make([]Singer, singers), Songs: []*Song{{}, {}}}
}

func (w *Workload) openGraphs() error {
	err := w.db.AutoMigrate(&Patron{}, &Choir{}, &Singer{}, &Song{}, &Cart{}, &CartLine{})
	choir, cart := newChoir(), Cart{Owner: "all"}
	err = errors.Join(err, w.bank.open(w.db), w.db.Create(&choir).Error, w.db.Create(&cart).Error)
	w.graphs = &graphs{choir: choir.ID, cart: cart.ID}
	return err
}

// ofGraphs makes one of the calls that write several rows.
func (s *session) ofGraphs(ctx context.Context, db *gorm.DB) {
	switch choice := s.random.IntN(100); {
	case choice < 40:
		s.transfer(ctx, db)
	case choice < 50:
		s.audit(db)
	case choice < 65:
		s.saveChoir(db)
	case choice < 85:
		s.touchCart(db)
	default:
		s.associate(db)
	}
}

func loadChoir(db *gorm.DB, id uint) (c Choir, err error) {
	err = db.Preload("Patron").Preload("Singers").Preload("Songs").First(&c, id).Error
	return c, err
}

// parts are the models of a choir, itself first.
func (c *Choir) parts() []any {
	parts := []any{c}
	if c.Patron != nil {
		parts = append(parts, c.Patron)
	}
	for i := range c.Singers {
		parts = append(parts, &c.Singers[i])
	}
	for _, song := range c.Songs {
		parts = append(parts, song)
	}
	return parts
}

func versionsOf(parts []any) (versions []occ.Version) {
	for _, part := range parts {
		switch m := part.(type) {
		case *Choir:
			versions = append(versions, m.Version)
		case *Patron:
			versions = append(versions, m.Version)
		case *Singer:
			versions = append(versions, m.Version)
		case *Song:
			versions = append(versions, m.Version)
		}
	}
	return versions
}

// saveChoir saves the shared choir with all that belongs to it: everything is written, or nothing.
func (s *session) saveChoir(db *gorm.DB) {
	c, err := loadChoir(db, s.graphs.choir)
	if err != nil {
		s.graphs.saves.add(s, "load", err)
		return
	}
	before := versionsOf(c.parts())
	c.Saves++
	c.Patron.Saves++
	for i := range c.Singers {
		c.Singers[i].Saves++
	}
	for _, song := range c.Songs {
		song.Saves++
	}
	err = db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&c).Error
	done := s.graphs.saves.add(s, "save of a choir", err)
	for i, version := range versionsOf(c.parts()) {
		if done && version != before[i]+1 || !done && version != before[i] {
			s.Report("model in memory", fmt.Sprintf("save of a choir -> %v: part %d went from %d to %d", err, i, before[i], version))
		}
	}
}

// touchCart writes a line of the shared cart, which takes its next version every time.
func (s *session) touchCart(db *gorm.DB) {
	line := CartLine{CartID: s.graphs.cart, Pieces: 1}
	if !s.graphs.touches.add(s, "create of a line", db.Create(&line).Error) {
		return
	}
	for range s.random.IntN(3) {
		before := line.Version
		if !s.graphs.touches.add(s, "update of a line", db.Model(&line).Update("pieces", line.Pieces+1).Error) {
			return
		}
		if line.Version != before+1 {
			s.Report("model in memory", fmt.Sprintf("update of a line: from %d to %d", before, line.Version))
		}
	}
	s.graphs.touches.add(s, "delete of a line", db.Delete(&line).Error)
}

// associate makes calls of association mode on a choir of the session's own. Afterwards what it holds must be what is stored.
func (s *session) associate(db *gorm.DB) {
	var own certainty
	c := newChoir()
	if !own.add(s, "create of a choir", db.Create(&c).Error) {
		return
	}
	for range 3 {
		call, err := s.change(db, &c)
		if !own.add(s, call, err) {
			return
		}
		s.requireStored(db, call, c.parts())
		if c, err = loadChoir(db, c.ID); !own.add(s, "load of a choir", err) {
			return
		}
	}
	s.refuseStale(db, &c)
}

func (s *session) change(db *gorm.DB, c *Choir) (call string, err error) {
	switch s.random.IntN(7) {
	case 0:
		return "Append to has-many", db.Model(c).Association("Singers").Append(&Singer{}, &Singer{})
	case 1:
		return "Replace has-many", db.Model(c).Association("Singers").Replace(&Singer{})
	case 2:
		return "Clear has-many", db.Model(c).Association("Singers").Clear()
	case 3:
		return "Append to many-to-many", db.Model(c).Association("Songs").Append(&Song{})
	case 4:
		return "Clear many-to-many", db.Model(c).Association("Songs").Clear()
	case 5:
		return "Replace belongs-to", db.Model(c).Association("Patron").Replace(&Patron{})
	}
	c.Saves++
	c.Singers = append(c.Singers, Singer{})
	return "Save with new parts", db.Save(c).Error
}

// requireStored wants the rows to be at the versions that the models have.
func (s *session) requireStored(db *gorm.DB, call string, parts []any) {
	if err := occ.Verify(db, parts...); errors.Is(err, occ.ErrStaleData) || err != nil && !s.isExpected(err) {
		s.Report("model in memory", fmt.Sprintf("after %s: %v", call, err))
	}
}

// refuseStale has a save with a stale part refused, and nothing of it written.
func (s *session) refuseStale(db *gorm.DB, c *Choir) {
	if err := db.Model(&Patron{}).Where("id = ?", *c.PatronID).Update("saves", 7).Error; err != nil {
		return
	}
	before := c.Version
	c.Saves += 100
	err := db.Session(&gorm.Session{FullSaveAssociations: true}).Save(c).Error
	var refusal *occ.StaleDataError
	isRefused := errors.As(err, &refusal)
	if err == nil || isRefused && refusal.Table != "patrons" || isRefused && !s.isChanged(refusal) {
		s.Report("stale part", fmt.Sprintf("save of a choir with a stale patron -> %v", err))
		return
	}
	c.Saves, c.Version = 0, before
	s.requireStored(db, "a refused save", []any{c})
}

// isChanged tells whether a refusal says that the row was changed, or may not know.
func (s *session) isChanged(refusal *occ.StaleDataError) bool {
	switch refusal.Rows[0].Reason {
	case occ.ReasonChanged:
		return true
	case occ.ReasonUnknown:
		return refusal.Err != nil || s.isDisturbed() || s.dialect == "mysql"
	}
	return false
}

// check compares the shared rows with what was done to them.
func (g *graphs) check(w *Workload) {
	var cart Cart
	c, err := loadChoir(w.db, g.choir)
	if err := errors.Join(err, w.db.First(&cart, g.cart).Error); err != nil {
		w.Report("unexpected error", err.Error())
		return
	}
	saves := []int64{c.Saves, c.Patron.Saves}
	for _, singer := range c.Singers {
		saves = append(saves, singer.Saves)
	}
	for _, song := range c.Songs {
		saves = append(saves, song.Saves)
	}
	for i, version := range versionsOf(c.parts()) {
		if saves[i] != saves[0] || int64(version)-1 != saves[i] || !g.saves.agrees(saves[i]) {
			w.Report("lost update", fmt.Sprintf("%s saves of a choir: its part %d tells of %d, and is at version %d", &g.saves, i, saves[i], version))
		}
	}
	if !g.touches.agrees(int64(cart.Version) - 1) {
		w.Report("lost touch", fmt.Sprintf("%s writes of lines left their cart at version %d", &g.touches, cart.Version))
	}
}

// clean deletes what sessions have left of choirs of their own, so that it does not pile up.
func (g *graphs) clean(db *gorm.DB) error {
	var errs error
	for _, query := range []string{
		"DELETE FROM choir_songs WHERE choir_id <> ?",
		"DELETE FROM singers WHERE choir_id IS NULL OR choir_id <> ?",
		"DELETE FROM choirs WHERE id <> ?",
		"DELETE FROM patrons WHERE id NOT IN (SELECT patron_id FROM choirs WHERE id = ?)",
		"DELETE FROM songs WHERE id NOT IN (SELECT song_id FROM choir_songs WHERE choir_id = ?)",
	} {
		errs = errors.Join(errs, db.Exec(query, g.choir).Error)
	}
	return errors.Join(errs, db.Exec("DELETE FROM cart_lines").Error)
}

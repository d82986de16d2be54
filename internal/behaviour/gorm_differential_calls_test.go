package behaviour_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/plugin/soft_delete"
)

// The models of an application that knows nothing of versions; one of them has a column of that name.
type (
	person struct {
		ID        uint
		Name      string
		Email     string   `gorm:"uniqueIndex;size:100"`
		Age       int      `gorm:"default:18"`
		Nick      string   `gorm:"column:nick_name"`
		Tags      []string `gorm:"serializer:json"`
		Home      place    `gorm:"embedded;embeddedPrefix:home_"`
		Version   int
		FirmID    *uint
		Firm      *firm
		Badge     *badge
		Dogs      []dog
		Tongues   []tongue `gorm:"many2many:person_tongues"`
		CreatedAt time.Time
		UpdatedAt time.Time
		DeletedAt gorm.DeletedAt
	}
	place struct{ Street, City string }
	firm  struct {
		ID   uint
		Name string
	}
	badge struct {
		ID       uint
		PersonID uint
		Code     string
	}
	dog struct {
		ID        uint
		PersonID  uint
		Name      string
		UpdatedAt int64 `gorm:"autoUpdateTime:milli"`
	}
	tongue struct {
		Code string `gorm:"primaryKey;size:10"`
		Name string
	}
	grade struct {
		Pupil   int    `gorm:"primaryKey;autoIncrement:false"`
		Subject string `gorm:"primaryKey;size:20"`
		Mark    float64
	}
	flagged struct {
		ID        uint
		Name      string                `gorm:"default:nobody"`
		IsDeleted soft_delete.DeletedAt `gorm:"softDelete:flag"`
	}
)

func plainModels() []any {
	return []any{&firm{}, &person{}, &badge{}, &dog{}, &tongue{}, &grade{}, &flagged{}}
}

// errTold is what a hook fails with.
var errTold = errors.New("a hook says no")

func (p *person) tell(tx *gorm.DB, hook string) error {
	if tr := traceOf(tx); tr != nil {
		tr.add("HOOK %s %s %d", hook, p.Name, p.ID)
	}
	if p.Name == hook {
		return errTold
	}
	return nil
}

func (p *person) BeforeSave(tx *gorm.DB) error   { return p.tell(tx, "BeforeSave") }
func (p *person) AfterSave(tx *gorm.DB) error    { return p.tell(tx, "AfterSave") }
func (p *person) BeforeCreate(tx *gorm.DB) error { return p.tell(tx, "BeforeCreate") }
func (p *person) AfterCreate(tx *gorm.DB) error  { return p.tell(tx, "AfterCreate") }
func (p *person) BeforeUpdate(tx *gorm.DB) error {
	if tx.Statement.Changed("Nick") {
		tx.Statement.SetColumn("Age", 33)
	}
	return p.tell(tx, "BeforeUpdate")
}
func (p *person) AfterUpdate(tx *gorm.DB) error  { return p.tell(tx, "AfterUpdate") }
func (p *person) BeforeDelete(tx *gorm.DB) error { return p.tell(tx, "BeforeDelete") }
func (p *person) AfterDelete(tx *gorm.DB) error  { return p.tell(tx, "AfterDelete") }
func (p *person) AfterFind(tx *gorm.DB) error    { return p.tell(tx, "AfterFind") }

// teller tells a trace what calls come to.
type teller struct{ tr *trace }

// ran tells of a finished call and of what it left of the values that it was given.
func (tl *teller) ran(tx *gorm.DB, values ...any) {
	tl.tr.add("RAN %s %#v rows=%d", tx.Statement.SQL.String(), tx.Statement.Vars, tx.RowsAffected)
	tl.tr.said(tx.Error)
	tl.tr.left(values...)
}

func (tl *teller) failed(err error, values ...any) {
	tl.tr.said(err)
	tl.tr.left(values...)
}

func shown(value any) string {
	text, err := json.Marshal(value)
	return fmt.Sprintf("%T %s %v", value, text, err)
}

// plainCall is a call that has nothing to do with versions.
type plainCall struct {
	name string
	do   func(tl *teller, db *gorm.DB)
}

func family(id uint) *person {
	return &person{
		ID: id, Name: "fam", Email: fmt.Sprint("fam", id), Tags: []string{"x"}, Home: place{"s", "c"}, Firm: &firm{Name: "acme"},
		Badge: &badge{Code: "b"}, Dogs: []dog{{Name: "rex"}, {Name: "fido"}}, Tongues: []tongue{{"de", "German"}, {"en", "English"}},
	}
}

func someone(n int) *person { return &person{Name: "some", Email: fmt.Sprint("some", n)} }

func plainCalls() []plainCall {
	return append(append(append(plainCreates(), plainUpdates()...), plainReads()...), append(plainAssociations(), plainDeletes()...)...)
}

func plainCreates() []plainCall {
	upsert := clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, DoUpdates: clause.AssignmentColumns([]string{"name", "version"})}
	return []plainCall{
		{"Create", func(tl *teller, db *gorm.DB) { p := someone(1); tl.ran(db.Create(p), p) }},
		{"Create with associations", func(tl *teller, db *gorm.DB) { p := family(20); tl.ran(db.Create(p), p) }},
		{"Create without associations", func(tl *teller, db *gorm.DB) {
			p := family(21)
			tl.ran(db.Omit(clause.Associations).Create(p), p)
		}},
		{"Create of selected columns", func(tl *teller, db *gorm.DB) {
			p := family(22)
			tl.ran(db.Select("ID", "Email", "Dogs").Create(p), p)
		}},
		{"Create of a slice", func(tl *teller, db *gorm.DB) {
			ps := []person{*someone(2), *someone(3), *someone(4)}
			tl.ran(db.Create(&ps), ps)
		}},
		{"Create of an empty slice", func(tl *teller, db *gorm.DB) { tl.ran(db.Create(&[]person{})) }},
		{"Create of a nil pointer", func(tl *teller, db *gorm.DB) { tl.ran(db.Create((*person)(nil))) }},
		{"CreateInBatches", func(tl *teller, db *gorm.DB) {
			ps := []*person{someone(5), someone(6), someone(7)}
			tl.ran(db.CreateInBatches(ps, 2), ps)
		}},
		{"Create of a map", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Model(&person{}).Create(map[string]any{"Name": "map", "email": "map", "version": 5}))
		}},
		{"Create of maps", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Model(&firm{}).Create(&[]map[string]any{{"name": "m1"}, {"name": "m2"}}))
		}},
		{"Create of a map with an expression", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Table("firms").Create(map[string]any{"name": clause.Expr{SQL: "UPPER(?)", Vars: []any{"x"}}}))
		}},
		{"Create of a duplicate", func(tl *teller, db *gorm.DB) { p := someone(1); tl.ran(db.Create(p), p) }},
		{"Create of a duplicate that does nothing", func(tl *teller, db *gorm.DB) {
			p := someone(1)
			tl.ran(db.Clauses(clause.OnConflict{DoNothing: true}).Create(p), p)
		}},
		{"upsert", func(tl *teller, db *gorm.DB) {
			p := someone(1)
			p.Version = 9
			tl.ran(db.Clauses(upsert).Create(p), p)
		}},
		{"upsert of all columns", func(tl *teller, db *gorm.DB) {
			ps := []person{{ID: 20, Name: "up", Email: "up20"}, {ID: 60, Name: "up", Email: "up60"}}
			tl.ran(db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&ps), ps)
		}},
		{"a composite key", func(tl *teller, db *gorm.DB) {
			gs := []grade{{1, "art", 1.5}, {1, "pe", 2}, {2, "art", 3}}
			tl.ran(db.Create(&gs), gs)
		}},
		{"a composite key again", func(tl *teller, db *gorm.DB) { tl.ran(db.Create(&grade{1, "art", 4})) }},
		{"defaults", func(tl *teller, db *gorm.DB) { f := []flagged{{}, {Name: "a"}}; tl.ran(db.Create(&f), f) }},
		{"a hook that fails before", func(tl *teller, db *gorm.DB) {
			p := &person{Name: "BeforeCreate", Email: "bc"}
			tl.ran(db.Create(p), p)
		}},
		{"a hook that fails after", func(tl *teller, db *gorm.DB) { p := &person{Name: "AfterCreate", Email: "ac"}; tl.ran(db.Create(p), p) }},
		{"FirstOrCreate", func(tl *teller, db *gorm.DB) {
			var p person
			tl.ran(db.Where(person{Email: "foc"}).Attrs(person{Name: "attr"}).Assign(person{Age: 5}).FirstOrCreate(&p), p)
			var again person
			tl.ran(db.Where(person{Email: "foc"}).Attrs(person{Name: "attr2"}).Assign(person{Age: 6}).FirstOrCreate(&again), again)
		}},
		{"FirstOrInit", func(tl *teller, db *gorm.DB) {
			var p person
			tl.ran(db.Where(person{Email: "foi"}).Attrs(person{Name: "attr"}).FirstOrInit(&p), p)
		}},
		{"gorm.G Create", func(tl *teller, db *gorm.DB) {
			p := someone(30)
			tl.failed(gorm.G[person](db).Create(db.Statement.Context, p), p)
		}},
		{"RETURNING of a Create", func(tl *teller, db *gorm.DB) {
			f := firm{Name: "ret"}
			tl.ran(db.Clauses(clause.Returning{}).Create(&f), f)
		}},
	}
}

func plainUpdates() []plainCall {
	return []plainCall{
		{"Save", func(tl *teller, db *gorm.DB) { p := family(20); p.Version = 2; tl.ran(db.Save(p), p) }},
		{"Save of what is not there", func(tl *teller, db *gorm.DB) { p := someone(40); p.ID = 40; tl.ran(db.Save(p), p) }},
		{"Save without a key", func(tl *teller, db *gorm.DB) { p := someone(41); tl.ran(db.Save(p), p) }},
		{"Save of a slice", func(tl *teller, db *gorm.DB) {
			ps := []person{{ID: 40, Name: "s", Email: "s40"}, {Name: "s", Email: "s42"}}
			tl.ran(db.Save(&ps), ps)
		}},
		{"Save of a composite key", func(tl *teller, db *gorm.DB) { g := grade{1, "art", 6}; tl.ran(db.Save(&g), g) }},
		{"Save under a condition", func(tl *teller, db *gorm.DB) { f := firm{ID: 1, Name: "c"}; tl.ran(db.Where("1 = 0").Save(&f), f) }},
		{"Update", func(tl *teller, db *gorm.DB) { p := family(20); tl.ran(db.Model(p).Update("name", "u"), p) }},
		{"Update of version", func(tl *teller, db *gorm.DB) { p := person{ID: 20}; tl.ran(db.Model(&p).Update("version", 7), p) }},
		{"Update of what is not there", func(tl *teller, db *gorm.DB) { tl.ran(db.Model(&person{ID: 9999}).Update("name", "u")) }},
		{"Update without a condition", func(tl *teller, db *gorm.DB) { tl.ran(db.Model(&firm{}).Update("name", "all")) }},
		{"Update of an unknown column", func(tl *teller, db *gorm.DB) { tl.ran(db.Model(&firm{ID: 1}).Update("nothing", 1)) }},
		{"Update with an expression", func(tl *teller, db *gorm.DB) {
			p := person{ID: 20}
			tl.ran(db.Model(&p).Update("age", gorm.Expr("age + ?", 1)), p)
		}},
		{"Update with a subquery", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Model(&person{}).Where("id = 20").Update("nick_name", db.Model(&firm{}).Select("name").Where("id = 1")))
		}},
		{"Updates of a struct", func(tl *teller, db *gorm.DB) {
			p := person{ID: 20}
			tl.ran(db.Model(&p).Updates(person{Name: "us", Nick: "n", Tags: []string{"y"}, Version: 3}), p)
		}},
		{"Updates of the model itself", func(tl *teller, db *gorm.DB) { p := family(20); tl.ran(db.Updates(p), p) }},
		{"Updates of a map", func(tl *teller, db *gorm.DB) {
			p := person{ID: 20}
			tl.ran(db.Model(&p).Updates(map[string]any{"Name": "um", "home_city": "x", "version": 4, "Nick": "q"}), p)
		}},
		{"Updates of selected columns", func(tl *teller, db *gorm.DB) {
			p := person{ID: 20}
			tl.ran(db.Model(&p).Select("name", "Age").Omit("age").Updates(person{Name: "", Age: 0, Nick: "z"}), p)
		}},
		{"Updates of all columns", func(tl *teller, db *gorm.DB) {
			p := person{ID: 20}
			tl.ran(db.Model(&p).Select("*").Omit("id", "email").Updates(person{Name: "star"}), p)
		}},
		{"UpdateColumn", func(tl *teller, db *gorm.DB) { p := person{ID: 20}; tl.ran(db.Model(&p).UpdateColumn("age", 3), p) }},
		{"UpdateColumns", func(tl *teller, db *gorm.DB) {
			p := person{ID: 20}
			tl.ran(db.Model(&p).UpdateColumns(person{Name: "uc", Age: 4}), p)
		}},
		{"Update of a slice", func(tl *teller, db *gorm.DB) {
			ps := []person{{ID: 20}, {ID: 21}}
			tl.ran(db.Model(&ps).Update("age", 8), ps)
		}},
		{"Update by OR", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Model(&firm{ID: 1}).Where("name = ?", "m1").Or("name = ?", "m2").Not("id = ?", 3).Update("name", "or"))
		}},
		{"Update of a table", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Table("people").Where("version > ?", 1).Updates(map[string]any{"age": 9, "version": 2}))
		}},
		{"Update of a table with an alias", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Table("firms AS f").Where("id = ?", 2).Update("name", "alias"))
		}},
		{"Update with SET", func(tl *teller, db *gorm.DB) {
			tl.ran(db.Model(&firm{ID: 2}).Clauses(clause.Set{{Column: clause.Column{Name: "name"}, Value: "set"}}).Updates(map[string]any{}))
		}},
		{"Update with RETURNING", func(tl *teller, db *gorm.DB) {
			var ps []person
			tl.ran(db.Model(&ps).Clauses(clause.Returning{}).Where("id = ?", 20).Update("age", 10), ps)
		}},
		{"Update with a failing hook", func(tl *teller, db *gorm.DB) {
			p := person{ID: 20, Name: "AfterUpdate"}
			tl.ran(db.Model(&p).Update("age", 77), p)
		}},
		{"a composite key by half", func(tl *teller, db *gorm.DB) { tl.ran(db.Model(&grade{Pupil: 1}).Update("mark", 5)) }},
		{"gorm.G Update", func(tl *teller, db *gorm.DB) {
			rows, err := gorm.G[person](db).Where("id = ?", 20).Update(db.Statement.Context, "name", "g")
			tl.failed(err, rows)
		}},
		{"gorm.G Updates", func(tl *teller, db *gorm.DB) {
			rows, err := gorm.G[person](db).Where("id = ?", 20).Updates(db.Statement.Context, person{Name: "gs", Version: 5})
			tl.failed(err, rows)
		}},
		{"gorm.G Set", func(tl *teller, db *gorm.DB) {
			rows, err := gorm.G[firm](db).Where("id = ?", 1).Set(clause.Assignment{Column: clause.Column{Name: "name"}, Value: "gset"}).Update(db.Statement.Context)
			tl.failed(err, rows)
		}},
		{"a statement used again", func(tl *teller, db *gorm.DB) {
			tx := db.Model(&firm{ID: 1})
			tl.ran(tx.Update("name", "once"))
			tl.ran(tx.Update("name", "twice"))
		}},
	}
}

func plainReads() []plainCall {
	return []plainCall{
		{"First", func(tl *teller, db *gorm.DB) { var p person; tl.ran(db.First(&p, 20), p) }},
		{"First that is not there", func(tl *teller, db *gorm.DB) { var p person; tl.ran(db.First(&p, "email = ?", "none"), p) }},
		{"Take and Last", func(tl *teller, db *gorm.DB) {
			var a, b grade
			tl.ran(db.Where(&grade{Pupil: 2}).Take(&a), a)
			tl.ran(db.Last(&b), b)
		}},
		{"Find", func(tl *teller, db *gorm.DB) {
			var ps []person
			tl.ran(db.Where(map[string]any{"age": 8}).Or("id IN ?", []int{20, 21}).Order("id").Limit(3).Offset(0).Find(&ps), ps)
		}},
		{"Find into maps", func(tl *teller, db *gorm.DB) {
			var rows []map[string]any
			tl.ran(db.Model(&firm{}).Order("id").Find(&rows), rows)
		}},
		{"Find into a smaller struct", func(tl *teller, db *gorm.DB) {
			var names []struct{ Name string }
			tl.ran(db.Model(&person{}).Order("id").Find(&names), names)
		}},
		{"Preload and Joins", func(tl *teller, db *gorm.DB) {
			var ps []person
			tl.ran(db.Joins("Firm").Preload("Dogs", "name <> ?", "fido").Preload(clause.Associations).Order("people.id").Find(&ps), ps)
		}},
		{"a preload of nothing", func(tl *teller, db *gorm.DB) { var p person; tl.ran(db.Preload("Nothing").First(&p)) }},
		{"Scopes", func(tl *teller, db *gorm.DB) {
			grown := func(tx *gorm.DB) *gorm.DB { return tx.Where("age > ?", 5) }
			var n int64
			tl.ran(db.Model(&person{}).Scopes(grown).Count(&n), n)
		}},
		{"Pluck and Distinct", func(tl *teller, db *gorm.DB) {
			var ages []int
			tl.ran(db.Model(&person{}).Distinct().Order("age").Pluck("age", &ages), ages)
		}},
		{"Group and Having", func(tl *teller, db *gorm.DB) {
			var rows []struct{ Pupil, N int }
			tl.ran(db.Model(&grade{}).Select("pupil, count(*) AS n").Group("pupil").Having("count(*) > ?", 0).Order("pupil").Scan(&rows), rows)
		}},
		{"Rows", func(tl *teller, db *gorm.DB) {
			rows, err := db.Model(&firm{}).Order("id").Rows()
			tl.failed(err)
			for err == nil && rows != nil && rows.Next() {
				var f firm
				tl.failed(db.ScanRows(rows, &f), f)
			}
			if rows != nil {
				tl.failed(rows.Close())
			}
		}},
		{"FindInBatches", func(tl *teller, db *gorm.DB) {
			var fs []firm
			tl.ran(db.Order("id").FindInBatches(&fs, 2, func(tx *gorm.DB, batch int) error {
				tl.ran(tx.Save(&fs), fs, batch)
				return nil
			}))
		}},
		{"Raw and Exec", func(tl *teller, db *gorm.DB) {
			var n int
			tl.ran(db.Raw("SELECT count(*) FROM people WHERE version >= @v", map[string]any{"v": 1}).Scan(&n), n)
			tl.ran(db.Exec("UPDATE people SET version = version + ? WHERE id = ?", 1, 20))
			tl.ran(db.Exec("UPDATE nothing SET a = 1"))
		}},
		{"Locking and hints", func(tl *teller, db *gorm.DB) {
			var f firm
			if db.Name() == "sqlite" {
				db = db.Session(&gorm.Session{DryRun: true})
			}
			tl.ran(db.Clauses(clause.Locking{Strength: "UPDATE"}).First(&f, 1), f)
		}},
		{"Unscoped", func(tl *teller, db *gorm.DB) { var n int64; tl.ran(db.Unscoped().Model(&person{}).Count(&n), n) }},
		{"gorm.G reads", func(tl *teller, db *gorm.DB) {
			p, err := gorm.G[person](db).Where("id = ?", 20).First(db.Statement.Context)
			tl.failed(err, p)
			_, err = gorm.G[person](db).Where("id = ?", 12345).Take(db.Statement.Context)
			tl.failed(err)
		}},
		{"a type that is no model", func(tl *teller, db *gorm.DB) { n := 1; tl.ran(db.Create(&n)); tl.ran(db.Find(&n)) }},
		{"a transaction", func(tl *teller, db *gorm.DB) {
			tl.failed(db.Transaction(func(tx *gorm.DB) error {
				tl.ran(tx.Create(&firm{Name: "tx"}))
				tl.failed(tx.Transaction(func(inner *gorm.DB) error {
					tl.ran(inner.Model(&firm{}).Where("name = ?", "tx").Update("name", "inner"))
					return errTold
				}))
				return nil
			}))
		}},
		{"associations in a transaction", func(tl *teller, db *gorm.DB) {
			tl.failed(db.Transaction(func(tx *gorm.DB) error {
				p := family(70)
				tl.ran(tx.Create(p), p)
				p.Dogs[0].Name = "changed"
				tl.ran(tx.Save(p), p)
				tl.ran(tx.Select("Dogs").Delete(p), p)
				return errTold
			}))
		}},
		{"a transaction by hand", func(tl *teller, db *gorm.DB) {
			tx := db.Begin()
			tl.failed(tx.Error)
			tl.ran(tx.Create(&firm{Name: "hand"}))
			tl.failed(tx.SavePoint("sp").Error)
			tl.ran(tx.Where("name = ?", "hand").Delete(&firm{}))
			tl.failed(tx.RollbackTo("sp").Error)
			tl.failed(tx.Commit().Error)
			tl.failed(tx.Commit().Error)
		}},
		{"a transaction that panics", func(tl *teller, db *gorm.DB) {
			_ = db.Transaction(func(tx *gorm.DB) error {
				tl.ran(tx.Create(&firm{Name: "lost"}))
				panic("in a transaction")
			})
		}},
	}
}

func plainAssociations() []plainCall {
	loaded := func(db *gorm.DB) *person {
		var p person
		db.Preload(clause.Associations).First(&p, 20)
		return &p
	}
	return []plainCall{
		{"Association Find and Count", func(tl *teller, db *gorm.DB) {
			var dogs []dog
			tl.failed(db.Model(&person{ID: 20}).Association("Dogs").Find(&dogs), dogs)
			tl.tr.left(db.Model(&person{ID: 20}).Association("Tongues").Count())
		}},
		{"Append to has-many and many-to-many", func(tl *teller, db *gorm.DB) {
			p := loaded(db)
			tl.failed(db.Model(p).Association("Dogs").Append(&dog{Name: "new"}), p)
			tl.failed(db.Model(p).Association("Tongues").Append(&tongue{"fr", "French"}), p)
		}},
		{"Replace of belongs-to and has-one", func(tl *teller, db *gorm.DB) {
			p := loaded(db)
			tl.failed(db.Model(p).Association("Firm").Replace(&firm{Name: "other"}), p)
			tl.failed(db.Model(p).Association("Badge").Replace(&badge{Code: "c"}), p)
		}},
		{"Save with changed associations", func(tl *teller, db *gorm.DB) {
			p := loaded(db)
			if len(p.Dogs) > 0 {
				p.Dogs[0].Name = "renamed"
			}
			p.Tongues = append(p.Tongues, tongue{"it", "Italian"})
			tl.ran(db.Save(p), p)
		}},
		{"Delete and Clear", func(tl *teller, db *gorm.DB) {
			p := loaded(db)
			tl.failed(db.Model(p).Association("Tongues").Delete(&tongue{Code: "de"}), p)
			tl.failed(db.Model(p).Association("Dogs").Clear(), p)
			tl.failed(db.Model(p).Association("Tongues").Unscoped().Clear(), p)
			tl.failed(db.Model(p).Association("Nothing").Clear())
		}},
	}
}

func plainDeletes() []plainCall {
	return []plainCall{
		{"soft delete", func(tl *teller, db *gorm.DB) { p := person{ID: 21}; tl.ran(db.Delete(&p), p) }},
		{"soft delete again", func(tl *teller, db *gorm.DB) { p := person{ID: 21}; tl.ran(db.Delete(&p), p) }},
		{"Unscoped delete", func(tl *teller, db *gorm.DB) { p := person{ID: 21}; tl.ran(db.Unscoped().Delete(&p), p) }},
		{"delete by keys", func(tl *teller, db *gorm.DB) { tl.ran(db.Delete(&person{}, []int{40, 41})) }},
		{"delete of a slice", func(tl *teller, db *gorm.DB) { ps := []person{{ID: 1}, {ID: 2}}; tl.ran(db.Delete(&ps), ps) }},
		{"delete with its associations", func(tl *teller, db *gorm.DB) {
			for _, association := range []string{"Dogs", "Tongues", "Badge"} { // GORM takes several in any order
				p := person{ID: 20}
				tl.ran(db.Select(association).Delete(&p), p)
			}
		}},
		{"delete of a composite key", func(tl *teller, db *gorm.DB) { tl.ran(db.Delete(&grade{Pupil: 1, Subject: "pe"})) }},
		{"delete with RETURNING", func(tl *teller, db *gorm.DB) {
			var gs []grade
			tl.ran(db.Clauses(clause.Returning{}).Where("pupil = ?", 2).Delete(&gs), gs)
		}},
		{"delete by a flag", func(tl *teller, db *gorm.DB) { f := flagged{ID: 1}; tl.ran(db.Delete(&f), f) }},
		{"delete without a condition", func(tl *teller, db *gorm.DB) { tl.ran(db.Delete(&firm{})) }},
		{"delete of a table", func(tl *teller, db *gorm.DB) { tl.ran(db.Table("firms").Where("id = ?", 1).Delete(nil)) }},
		{"delete of a nil pointer", func(tl *teller, db *gorm.DB) { tl.ran(db.Where("id = ?", 1).Delete((*firm)(nil))) }},
		{"delete with a failing hook", func(tl *teller, db *gorm.DB) {
			p := person{ID: 60, Name: "AfterDelete"}
			tl.ran(db.Delete(&p), p)
		}},
		{"gorm.G Delete", func(tl *teller, db *gorm.DB) {
			rows, err := gorm.G[person](db).Where("id = ?", 60).Delete(db.Statement.Context)
			tl.failed(err, rows)
		}},
		{"what is left", func(tl *teller, db *gorm.DB) {
			for _, model := range plainModels() {
				var rows []map[string]any
				tl.ran(db.Unscoped().Model(model).Find(&rows))
				tl.tr.left(len(rows))
			}
		}},
	}
}

package occ_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Invoice has no version column; its lines neither, and call the field by another name.
type (
	Invoice struct {
		ID    uint
		Total int
		Lines []InvoiceLine
		occ.Xmin
	}
	InvoiceLine struct {
		ID        uint
		InvoiceID uint
		Invoice   *Invoice
		Text      string
		Seen      occ.Xmin `gorm:"column:last_seen"`
	}
	// InvoiceTotal is a smaller view of an invoice.
	InvoiceTotal struct {
		ID    uint
		Total int
	}
)

func postgresOnly(t *testing.T, behaviours []Behaviour, models ...any) {
	databases := testdb.Of("postgres")
	for _, d := range testdb.Configurations() {
		if d.Kind() == "postgres PrepareStmt" || d.Kind() == "postgres simple protocol" {
			databases = append(databases, d)
		}
	}
	Run(t, databases, behaviours, models...)
}

func TestXmin(t *testing.T) {
	t.Parallel()
	newInvoice := func(t *testing.T, db *gorm.DB) Invoice {
		invoice := Invoice{Total: 10, Lines: []InvoiceLine{{Text: "pen"}}}
		require.NoError(t, db.Create(&invoice).Error)
		require.NotZero(t, invoice.Xmin)
		require.NotZero(t, invoice.Lines[0].Seen)
		return invoice
	}
	postgresOnly(t, []Behaviour{
		{"a migration adds no column, the first and the second time", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Invoice{}, &InvoiceLine{}))
			columns, err := db.Migrator().ColumnTypes(&InvoiceLine{})
			require.NoError(t, err)
			require.Len(t, columns, 3)
		}},
		{"every query of the model reads it", func(t *testing.T, db *gorm.DB) {
			want := newInvoice(t, db)
			one := func(read func(i *Invoice) *gorm.DB) Invoice {
				var i Invoice
				require.NoError(t, read(&i).Error)
				return i
			}
			many := func(read func(is *[]Invoice) *gorm.DB) Invoice {
				var is []Invoice
				require.NoError(t, read(&is).Error)
				require.Len(t, is, 1)
				return is[0]
			}
			for name, got := range map[string]Invoice{
				"First": one(func(i *Invoice) *gorm.DB { return db.First(i, want.ID) }),
				"Take":  one(func(i *Invoice) *gorm.DB { return db.Take(i) }),
				"Find":  many(func(is *[]Invoice) *gorm.DB { return db.Find(is) }),
				"Where": many(func(is *[]Invoice) *gorm.DB {
					return db.Where("total = 10 OR total = 11").Limit(5).Order("id").Find(is)
				}),
				"Scan":     one(func(i *Invoice) *gorm.DB { return db.Model(&Invoice{}).Scan(i) }),
				"Omit":     one(func(i *Invoice) *gorm.DB { return db.Omit("Lines").First(i) }),
				"Distinct": many(func(is *[]Invoice) *gorm.DB { return db.Distinct().Find(is) }),
				"Select *": one(func(i *Invoice) *gorm.DB { return db.Select("*").First(i) }),
				"Joins": many(func(is *[]Invoice) *gorm.DB {
					return db.Joins("JOIN invoice_lines l ON l.invoice_id = invoices.id").Find(is)
				}),
				"Select of table": many(func(is *[]Invoice) *gorm.DB {
					return db.Select("invoices.*").Joins("JOIN invoice_lines l ON l.invoice_id = invoices.id").Find(is)
				}),
				"sub-query": many(func(is *[]Invoice) *gorm.DB {
					return db.Where("id IN (?)", db.Model(&InvoiceLine{}).Select("invoice_id")).Find(is)
				}),
				"Table": one(func(i *Invoice) *gorm.DB { return db.Table("invoices").First(i) }),
				"derived table": one(func(i *Invoice) *gorm.DB {
					return db.Table("(?) AS invoices", db.Model(&Invoice{})).Select("*, xmin").First(i)
				}),
				"Raw":           one(func(i *Invoice) *gorm.DB { return db.Raw("SELECT *, xmin FROM invoices").Scan(i) }),
				"FirstOrInit":   one(func(i *Invoice) *gorm.DB { return db.FirstOrInit(i, Invoice{ID: want.ID}) }),
				"FirstOrCreate": one(func(i *Invoice) *gorm.DB { return db.FirstOrCreate(i, Invoice{ID: want.ID}) }),
			} {
				require.Equal(t, want.Xmin, got.Xmin, name)
			}
			generic, err := gorm.G[Invoice](db).Where("id = ?", want.ID).First(context.Background())
			require.NoError(t, err)
			require.Equal(t, want.Xmin, generic.Xmin)
		}},
		{"so do Preload and Joins of an association", func(t *testing.T, db *gorm.DB) {
			want := newInvoice(t, db)
			var invoice Invoice
			var line InvoiceLine

			require.NoError(t, db.Preload("Lines").First(&invoice).Error)
			require.NoError(t, db.Joins("Invoice").First(&line).Error)

			require.Equal(t, want, invoice)
			require.Equal(t, want.Lines[0].Seen, line.Seen)
			require.Equal(t, want.Xmin, line.Invoice.Xmin)
			require.NoError(t, db.Model(&invoice.Lines[0]).Update("text", "ink").Error)
		}},
		{"queries of other columns are left alone", func(t *testing.T, db *gorm.DB) {
			want := newInvoice(t, db)
			var count int64
			var totals []int
			var views []InvoiceTotal
			var grouped []InvoiceTotal
			var some Invoice

			require.NoError(t, db.Model(&Invoice{}).Count(&count).Error)
			require.NoError(t, db.Model(&Invoice{}).Distinct("total").Count(&count).Error)
			require.NoError(t, db.Model(&Invoice{}).Distinct().Pluck("total", &totals).Error)
			require.NoError(t, db.Model(&Invoice{}).Find(&views).Error)
			require.NoError(t, db.Model(&Invoice{}).Select("max(id) AS id, total").Group("total").Find(&grouped).Error)
			require.NoError(t, db.Model(&Invoice{}).Group("id").Find(&views).Error)
			require.NoError(t, db.Table("(?) AS u", db.Model(&Invoice{})).Where("u.total = 10").Count(&count).Error)
			require.NoError(t, db.Table("(SELECT 1 AS id, 7 AS total) AS u").Find(&some).Error)
			require.Equal(t, 7, some.Total)
			some = Invoice{}
			require.NoError(t, db.Select("id", "total").First(&some).Error)

			require.EqualValues(t, 1, count)
			require.Equal(t, []int{10}, totals)
			require.Equal(t, []InvoiceTotal{{want.ID, 10}}, views)
			require.Equal(t, views, grouped)
			require.Zero(t, some.Xmin)
			require.ErrorIs(t, db.Model(&some).Update("total", 1).Error, occ.ErrVersionMissing)
		}},
		{"a write is one statement that returns it", func(t *testing.T, db *gorm.DB) {
			invoice := newInvoice(t, db)
			old := invoice

			dry := db.Session(&gorm.Session{DryRun: true}).Model(&invoice).Update("total", 11).Statement
			require.Regexp(t, `^UPDATE "invoices" SET "total"=\$1 WHERE "invoices"."id" = \$2 AND CAST\("invoices"."xmin" AS text\) = \$3 RETURNING "xmin"$`, dry.SQL.String())
			require.NoError(t, db.Model(&invoice).Update("total", 11).Error)

			require.NotEqual(t, old.Xmin, invoice.Xmin)
			require.Equal(t, invoice.Xmin, Reload[Invoice](t, db, invoice.ID).Xmin)
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&old).Update("total", 12).Error).Reason)
		}},
		{"a save of an owner with its parts reads them all", func(t *testing.T, db *gorm.DB) {
			invoice := newInvoice(t, db)
			invoice.Lines = append(invoice.Lines, InvoiceLine{Text: "ink"})

			require.NoError(t, db.Save(&invoice).Error)

			require.NotZero(t, invoice.Lines[1].Seen)
			require.NoError(t, db.Model(&invoice.Lines[1]).Update("text", "paper").Error)
			require.NoError(t, db.Model(&invoice).Update("total", 3).Error)
		}},
		{"an owner that is created with its part can be written", func(t *testing.T, db *gorm.DB) {
			line := InvoiceLine{Text: "pen", Invoice: &Invoice{Total: 10}}
			require.NoError(t, db.Create(&line).Error)

			require.Equal(t, Reload[Invoice](t, db, line.Invoice.ID).Xmin, line.Invoice.Xmin)
			require.NoError(t, db.Model(line.Invoice).Update("total", 3).Error)
			require.NoError(t, db.Model(&line).Update("text", "ink").Error)
		}},
		{"raw SQL is noticed", func(t *testing.T, db *gorm.DB) {
			invoice := newInvoice(t, db)
			require.NoError(t, db.Exec("UPDATE invoices SET total = 99").Error)

			require.Equal(t, occ.ReasonChanged, Stale(t, db.Delete(&invoice).Error).Reason)
		}},
		{"a foreign row may be at any number a transaction can have", func(t *testing.T, db *gorm.DB) {
			invoice := newInvoice(t, db)
			invoice.Xmin = 4294967295

			require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&invoice).Update("total", 1).Error).Reason)
		}},
	}, &Invoice{}, &InvoiceLine{})
}

// Folio is in a table that is divided into partitions.
type Folio struct {
	ID    uint
	Total int
	occ.Xmin
}

func TestXminOfPartitions(t *testing.T) {
	t.Parallel()
	postgresOnly(t, []Behaviour{{"is known after each write, and compared", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Exec("CREATE TABLE folios (id bigserial PRIMARY KEY, total bigint) PARTITION BY HASH (id)").Error)
		for i := range 2 {
			require.NoError(t, db.Exec(fmt.Sprintf("CREATE TABLE folios_%d PARTITION OF folios FOR VALUES WITH (MODULUS 2, REMAINDER %[1]d)", i)).Error)
		}
		folio := Folio{Total: 1}
		require.NoError(t, db.Create(&folio).Error)
		folios := []Folio{{Total: 2}, {Total: 3}, {Total: 4}}
		require.NoError(t, db.Create(&folios).Error)
		for _, l := range append(folios, folio) {
			require.Equal(t, Reload[Folio](t, db, l.ID), l)
		}
		mine := folio

		require.NoError(t, db.Model(&folio).Update("total", 10).Error)
		require.NoError(t, db.Save(&folios).Error)
		require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&folios).Error)

		require.ErrorIs(t, db.Model(&mine).Update("total", 20).Error, occ.ErrStaleData)
		require.Equal(t, Reload[Folio](t, db, folio.ID), folio)
		require.NoError(t, db.Save(&folio).Error)
		require.NoError(t, db.Delete(&folio).Error)
		require.NoError(t, db.Delete(&folios).Error)
	}}})
}

package proof

import (
	"fmt"
	"strings"

	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

// chain is what comes before a write: db.Unscoped().Clauses(occ.Expect(b1.Version)).Where("price < ?", 3).
type chain struct {
	unscoped, unchecked bool
	alias               bool     // the table has another name
	expect              variable // whose version is expected
	below               int      // the price that a row must have; 0: any
}

func chains() *rapid.Generator[chain] {
	return rapid.Custom(func(t *rapid.T) chain {
		c := chain{}
		switch rapid.SampledFrom([]string{"", "", "", "", "", "where", "expect", "unchecked", "unscoped", "all"}).Draw(t, "chain") {
		case "where":
			c.below = prices().Draw(t, "below")
		case "expect":
			c.expect = anyVariable().Draw(t, "expect")
		case "unchecked":
			c.unchecked = true
		case "unscoped":
			c.unscoped = true
		case "all":
			c.unscoped, c.unchecked = rapid.Bool().Draw(t, "unscoped"), rapid.Bool().Draw(t, "unchecked")
			c.below = rapid.IntRange(0, 4).Draw(t, "below")
			if !c.unchecked {
				c.expect = rapid.SampledFrom(append([]variable{""}, variables...)).Draw(t, "expect")
			}
		}
		return c
	})
}

// aliases are chains that may give the table another name.
func aliases() *rapid.Generator[chain] {
	return rapid.Custom(func(t *rapid.T) chain {
		c := chains().Draw(t, "chain")
		c.alias = rapid.IntRange(0, 5).Draw(t, "alias") == 5
		return c
	})
}

// canDelete leaves out the DELETE of a table with another name, which MariaDB does not have.
func (c chain) canDelete(w *world) bool { return !c.alias || !c.unscoped || w.database != "mysql" }

func anyVariable() *rapid.Generator[variable] { return rapid.SampledFrom(variables) }
func prices() *rapid.Generator[int]           { return rapid.IntRange(1, 4) }

// isAllowed leaves out what cannot be expected: nothing, and the version of another row, which could not be told.
func (c chain) isAllowed(w *world, ids ...int) bool {
	if c.alias && w.kind.stored == "smallint" {
		return false // the reason of a refusal goes by the end of the type: the column is not asked under each alias
	}
	if c.expect == "" {
		return true
	}
	for _, id := range ids {
		if w.kind.last == 0 && id != c.expect.id() {
			return false
		}
	}
	return w.kind.snapshot == nil && w.models[c.expect].version != 0
}

func (c chain) on(m *machine) *gorm.DB {
	tx := m.db
	if c.alias {
		tx = tx.Table(m.quoted() + " AS i")
	}
	if c.unscoped {
		tx = tx.Unscoped()
	}
	if c.unchecked {
		tx = tx.Clauses(occ.Unchecked())
	}
	if c.expect != "" {
		tx = tx.Clauses(occ.Expect(m.versionOf(c.expect)))
	}
	if c.below != 0 {
		tx = tx.Where("price < ?", c.below)
	}
	return tx
}

func (c chain) from(db string) string {
	var b strings.Builder
	b.WriteString(db)
	if c.alias {
		b.WriteString(`.Table("items AS i")`)
	}
	if c.unscoped {
		b.WriteString(".Unscoped()")
	}
	if c.unchecked {
		b.WriteString(".Clauses(occ.Unchecked())")
	}
	if c.expect != "" {
		fmt.Fprintf(&b, ".Clauses(occ.Expect(%s.Version))", c.expect)
	}
	if c.below != 0 {
		fmt.Fprintf(&b, ".Where(\"price < ?\", %d)", c.below)
	}
	return b.String()
}

func (c chain) holds(row values) bool { return c.below == 0 || row.price < c.below }

func (c chain) sees(row values) bool { return c.unscoped || row.gone == 0 }

// expected is the version that a model's row is expected at.
func (c chain) expected(w *world, h *held) version {
	if c.expect != "" {
		return w.models[c.expect].version
	}
	return h.version
}

// isBlind tells a write that is not compared.
func (c chain) isBlind(w *world, models ...*held) bool {
	if c.unchecked || !w.kind.blind {
		return c.unchecked
	}
	for _, h := range models {
		if c.expected(w, h) != 0 {
			return false
		}
	}
	return c.expect == ""
}

func call(format string, args ...any) string { return fmt.Sprintf("step("+format+")", args...) }

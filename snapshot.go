package occ

import (
	"reflect"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/registration"
	"github.com/gorm-occ/occ/internal/snapshot"
)

// Snapshot is for models whose table can have no version column: the plugin keeps the column values that a model was
// loaded with, and a write compares the row with them. Embed it; there is nothing to migrate:
//
//	type Product struct {
//		ID    uint
//		Name  string
//		Price int
//		occ.Snapshot
//	}
//
// An update or delete compares all columns, NULL with NULL and text byte for byte, except those that GORM keeps by itself
// (`autoUpdateTime`) or that are tagged `gorm:"unversioned"`. Tags choose less:
//
//   - `gorm:"snapshot:dirty"` on the embedded field compares the columns that the write sets, and a delete all of them, so
//     that writes of different columns do not get into each other's way;
//   - `gorm:"token"` on columns compares those alone, whatever is written. It may name an automatic timestamp, too.
//
// The values are the driver's, of GORM's own queries: Find, First, Take, Last, FindInBatches, Preload, Joins, gorm.G, as far
// as these certainly load columns as they are stored. A model that was loaded otherwise (Scan, ScanRows, Raw, an expression in
// Select, a JSON body), or without the columns to compare, is refused with [ErrVersionMissing]. After a write the snapshot is
// the row as written, so rounding, defaults and triggers are no conflict: PostgreSQL returns it with the UPDATE, elsewhere,
// and after an INSERT, a SELECT before the transaction ends reads it. Several rows of one call are locked, read and compared
// before they are written. A value that SQL does not find again, such as a time that SQLite holds in another form than the
// driver's, is looked at once more under a lock, instead of being refused or not compared.
//
// Like a version a snapshot is copied with the model, and a copy is independent: what it holds is never changed, only
// replaced. The zero value is a model that was never loaded. A snapshot adds nothing to JSON; it takes as much memory as the
// row. There is nothing to [Expect] or to [Touch], while [ExpectText] takes its digest; the Expected and Actual of a [StaleRow] are Snapshots, and a model that is
// given the latter is as if it were loaded now.
//
// In a model that also has a version, the version is what is compared. The snapshot is then the base of [Merge] alone, and
// is empty after an insert or a write of several rows, until the model is loaded again.
type Snapshot struct {
	// GORM is what GORM sees of the type: it has writes fail where the plugin is not registered. It holds nothing.
	GORM snapshotClauses `gorm:"-" json:"-" xml:"-" yaml:"-" bson:"-"`

	image *snapshot.Image
}

// snapshotClauses has no column. GORM asks its type for clauses all the same.
type snapshotClauses struct{}

var snapshotClausesType = reflect.TypeFor[snapshotClauses]()

// CreateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (snapshotClauses) CreateClauses(field *schema.Field) []clause.Interface {
	return snapshotClausesOf(field)
}

// UpdateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (snapshotClauses) UpdateClauses(field *schema.Field) []clause.Interface {
	return snapshotClausesOf(field)
}

// DeleteClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (snapshotClauses) DeleteClauses(field *schema.Field) []clause.Interface {
	return snapshotClausesOf(field)
}

func snapshotClausesOf(field *schema.Field) []clause.Interface {
	if field.FieldType != snapshotClausesType {
		return nil
	}
	return []clause.Interface{registration.Unregistered{Model: field.Schema.Name, Field: "Snapshot"}}
}

// snapshots is how the engine, which handles images, gets at the Snapshots of models.
var snapshots = snapshot.Holder{
	Typ: reflect.TypeFor[Snapshot](),
	Get: func(field reflect.Value) *snapshot.Image { return field.Interface().(Snapshot).image },
	Set: func(field reflect.Value, image *snapshot.Image) { field.Set(reflect.ValueOf(Snapshot{image: image})) },
	Of: func(value any) (*snapshot.Image, bool) {
		snapshot, ok := value.(Snapshot)
		return snapshot.image, ok
	},
}

// inPublic returns a version as users see it: an image as the Snapshot that holds it.
func inPublic(version any) any {
	if image, ok := version.(*snapshot.Image); ok {
		return Snapshot{image: image}
	}
	return version
}

const snapshotWaysOut = " (load the row with the columns to compare, through a query of GORM's own, before writing it; write by condition with Model(&T{}).Where(...), or skip the check with occ.Unchecked)"

// describeImage says what became of a row that was compared with its snapshot, without saying what is in it. It is no
// method: those of an embedded type become the model's.
func describeImage(row StaleRow) string {
	switch row.Reason {
	case ReasonChanged:
		return "changed since it was loaded" + changedColumns(row.Expected, row.Actual)
	case ReasonDeleted:
		return "was deleted"
	case ReasonMissing:
		return "is there, but the model was never loaded, or not with the columns to compare"
	default:
		return "is not as it was loaded"
	}
}

// changedColumns names the columns in which two snapshots differ.
func changedColumns(expected, actual any) string {
	before, _ := expected.(Snapshot)
	now, _ := actual.(Snapshot)
	if before.image == nil || now.image == nil {
		return ""
	}
	var names []string
	for i, name := range before.image.Columns {
		if before.image.Has(i) && i < len(now.image.Values) && !reflect.DeepEqual(before.image.Values[i], now.image.Values[i]) {
			names = append(names, name)
		}
	}
	return ": " + strings.Join(names, ", ")
}

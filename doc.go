// Package occ is a GORM plugin for optimistic concurrency control: it refuses writes that would silently overwrite what
// somebody else wrote.
//
//	type Product struct {
//		ID    uint
//		Stock int
//		occ.Version
//	}
//
//	db, err := gorm.Open(sqlite.Open("shop.db"))
//	err = errors.Join(err, db.Use(occ.New()), db.AutoMigrate(&Product{}))
//
//	var p Product
//	err = db.First(&p, 1).Error
//	err = db.Model(&p).Update("stock", p.Stock-1).Error
//	if errors.Is(err, occ.ErrStaleData) {
//		// somebody has written the row since it was read: read it again
//	}
//
// # The version
//
// The version of a model is its field of type [Version], embedded or named, or any integer column tagged
// `gorm:"version"`, also in an embedded struct. A row starts at 1, and every write that is made through GORM adds 1. After
// the largest value of the column's type it wraps around to 1. The plugin writes it; do not assign to it. A column named
// "version" without the type or the tag is the application's own. A model without a version behaves as without the plugin.
//
// Times, UUIDs, versions of a [Generator] of your own, and versions that the database writes serve too; [Xmin] and
// [Snapshot] need no column.
//
// # Writes of a row
//
// A write is of a row if the model carries its primary key, or if a version is given. It is compared: WHERE asks for the
// expected version, SET writes the next one. The expected version is the first of
//
//   - what [Expect] says,
//   - a version in the payload, Updates(map) or Updates(struct), that is not zero,
//   - the model's own.
//
// Zero is what a model holds whose version was never loaded, or was left out of a Select. It is compared like any other
// version: it matches a row whose column is NULL or 0, and the write gives such a row version 1. Any other row is refused
// with [ErrVersionMissing]. Save is an update of a loaded model, and never inserts a row that is gone; of a model whose version
// is zero it inserts if the key is new, and is refused if it is not.
//
// [Unchecked] gives up the comparison for one write, [WithBlindWrites] for all writes whose version is zero. Both still
// write the next version.
//
// # Writes by condition
//
// A write without a key in the model and without a version, such as Model(&Product{}).Where(...).Update(...) and
// Delete(&Product{}, ids), is not compared, since no row was loaded. Every row that it updates takes
// its next version, so that holders of older copies are refused. Table("products") is such a write too, once the model has
// been read or written.
//
// # Conditions of the caller's
//
// The statement's condition is (the caller's) AND key AND version, even if the caller's contains Or. If the row is at the
// expected version and is not written, the caller's conditions did not hold: RowsAffected is 0, there is no error, and
// nothing is inserted.
//
// # After a write
//
// The model holds the version that is in the row, in AfterUpdate and AfterSave hooks already; a hard delete and a model
// passed by value leave it as it was. If GORM's default transaction is rolled back, for any reason, the version is
// what it was before. For a transaction of your own, [Transaction] does the same.
//
// # After a refusal
//
// The error matches [ErrStaleData], and [*StaleDataError] has the operation, the table, and every refused row with its
// key, both versions and the [Reason]. The row is untouched, later callbacks do not run, and the model keeps its version,
// so that a second try is refused too; its other fields hold what was refused. Load it again, have [Retry] do the whole
// work again, or merge both with [Rebase]. The caller's transaction stays usable, unless the database reported the
// conflict itself; then StaleDataError.Err is set.
//
// # Several rows
//
// Save, Update and Delete of a slice compare each row with its own version, in one statement, and write all rows or none,
// in a transaction of the caller's too. An upsert writes the next version of the row that is there; a loaded model is
// compared.
//
// # Associations
//
// An associated row that is saved with its owner is compared before it is overwritten. If one is stale, the whole save is
// refused. A row that is linked already is left alone, and so is a loaded one that is linked by belongs-to or many-to-many;
// one whose foreign key changes is compared and takes its next version. Adding to a collection does not change the
// owner's version: tag the belongs-to field `gorm:"touch"` to have the version of an aggregate root advance with its parts. Association
// mode's Delete, Replace and Clear are writes by condition: models that still hold those rows must be loaded again.
//
// Create inserts what is not there. A part that brings a version, from a fixture say, is inserted with it where its owner is
// inserted by the same call; a part that is gone is never inserted with an owner that was there before. A model that was
// deleted and is created again goes on at the next version, so that who holds the deleted row is refused; a copy of it, or
// one whose version you set, keeps what it brings.
//
// # What leaves the version as it is
//
// A write of nothing but automatic timestamps, or of columns tagged `gorm:"unversioned"`, is not compared, and the version
// stays the same.
//
// # What is not seen
//
// Exec, Raw and other programs are not seen; [CreateTriggers] has the database advance the versions for them. A row that is
// deleted and inserted again under its old key starts at 1 again. A UUID version tells the two rows apart.
//
// # Cost
//
// A compared write of one row is one statement; only a refusal reads. A model without a version sends what it sends
// without the plugin.
package occ

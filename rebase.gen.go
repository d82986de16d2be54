package occ

// Nothing here is generated: what the functions of a file of this name send is logged with the line of their caller, see
// [gorm.io/gorm/utils.CallerFrame].

import (
	"errors"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/merge"
	"github.com/gorm-occ/occ/internal/session"
)

// Rebase saves mine on top of what others have written since: it reads the row, merges what turned base into mine with it
// as [Merge] does, and saves the result if the row is then still as it was read. Base is the row as mine was loaded: keep
// a copy before you change it, one that does not share the slices and maps that you change in place, or embed a [Snapshot] in
// the model and pass nil. Call Rebase where a
// write of mine was refused with [ErrStaleData], or instead of that write.
//
// Afterwards mine is the row as it is stored, with their changes, its version and its timestamps; associations in it have
// to be loaded again. Where mine adds nothing to the row, nothing is written. All columns are written, after the hooks of
// an update; associations are not saved.
//
// On an error the row and mine are what they were, also in a transaction of the caller's:
//   - [*MergeConflictError], which matches [ErrMergeConflict], if both sides changed a column to different values;
//   - [*StaleDataError] if the row was deleted, also softly (unless db is Unscoped), or if somebody wrote it between
//     reading and saving, in which case Rebase can be called again;
//   - an error that names the model if it has no version to compare, or what was passed is nil, without a primary key, or
//     not the same row.
//
// Table, conditions and context of db apply as in [Current]. In a transaction on MySQL and MariaDB, the row is locked as it
// is read. Rebase costs a read, and a transaction or savepoint with the write and another read.
func Rebase[T any](db *gorm.DB, base, mine *T) error {
	log := &session.Log{}
	db = log.KeepOf(db)
	defer log.Flush()
	s, err := subjectIn[T](db)
	if err != nil {
		return err
	}
	if base, err = merge.BaseOf(s, "Rebase", base, mine); err != nil {
		return err
	}
	theirs, stored := new(T), new(T)
	err = s.Rebase(base, mine, theirs, stored)
	if unresolved := (*merge.Unresolved)(nil); errors.As(err, &unresolved) {
		text, _ := VersionText(db, theirs) // a type that has none
		return &MergeConflictError{
			Table: unresolved.Table, PrimaryKey: unresolved.Key, Fields: fieldConflicts(unresolved.Fields), Theirs: theirs, text: text,
		}
	}
	if err != nil {
		return err
	}
	s.RememberVersions(mine)
	*mine = *stored
	return nil
}

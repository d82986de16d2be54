// Package rows is what the peers write: the models, their tables, and whether what is stored is what was written.
package rows

// Item is a row of five columns. V is how a peer declares the version.
type Item[V any] struct {
	ID      int64  `gorm:"primaryKey;autoIncrement:false" xorm:"pk 'id'" db:"id"`
	Name    string `gorm:"size:64" db:"name"`
	Price   int64  `db:"price"`
	Stock   int64  `db:"stock"`
	Version V      `xorm:"version" db:"version"`
}

// Long is an Item whose string has GORM's default type: longtext on MariaDB.
type Long[V any] struct {
	ID      int64  `gorm:"primaryKey;autoIncrement:false" xorm:"pk 'id'" db:"id"`
	Name    string `db:"name"`
	Price   int64  `db:"price"`
	Stock   int64  `db:"stock"`
	Version V      `xorm:"version" db:"version"`
}

// Plain is an Item without a version.
type Plain struct {
	ID    int64  `gorm:"primaryKey;autoIncrement:false"`
	Name  string `gorm:"size:64"`
	Price int64
	Stock int64
}

// names are the texts of every second write, so that no peer is timed while it makes strings.
var names = [2]string{"a fountain pen with an iridium nib", "a notebook of a hundred ruled pages"}

// TableName is the same for every kind of version.
func (Item[V]) TableName() string { return "items" }

// Key is where the key is.
func (r *Item[V]) Key() *int64 { return &r.ID }

// SetPrice sets one column.
func (r *Item[V]) SetPrice(write int64) { r.Price = write }

// Amount is the column that writers on one row add to.
func (r *Item[V]) Amount() *int64 { return &r.Price }

// Fill sets all columns but key and version as the given write has them.
func (r *Item[V]) Fill(write int64) { r.Name, r.Price, r.Stock = names[write&1], write, write+r.ID }

// Current is the version in memory.
func (r *Item[V]) Current() *V { return &r.Version }

// Columns are the columns but key and version.
func (*Item[V]) Columns() []string { return []string{"name", "price", "stock"} }

// Values are what is in Columns.
func (r *Item[V]) Values() []any { return []any{r.Name, r.Price, r.Stock} }

// Pointers are where Columns are scanned into.
func (r *Item[V]) Pointers() []any { return []any{&r.Name, &r.Price, &r.Stock} }

// TableName is the same for every kind of version.
func (Long[V]) TableName() string { return "long_items" }

// Key is where the key is.
func (r *Long[V]) Key() *int64 { return &r.ID }

// SetPrice sets one column.
func (r *Long[V]) SetPrice(write int64) { r.Price = write }

// Fill sets all columns but key and version as the given write has them.
func (r *Long[V]) Fill(write int64) { r.Name, r.Price, r.Stock = names[write&1], write, write+r.ID }

// Current is the version in memory.
func (r *Long[V]) Current() *V { return &r.Version }

// Columns are the columns but key and version.
func (*Long[V]) Columns() []string { return []string{"name", "price", "stock"} }

// Values are what is in Columns.
func (r *Long[V]) Values() []any { return []any{r.Name, r.Price, r.Stock} }

// Pointers are where Columns are scanned into.
func (r *Long[V]) Pointers() []any { return []any{&r.Name, &r.Price, &r.Stock} }

// TableName names the table of rows without a version.
func (Plain) TableName() string { return "plain_items" }

// Key is where the key is.
func (r *Plain) Key() *int64 { return &r.ID }

// SetPrice sets one column.
func (r *Plain) SetPrice(write int64) { r.Price = write }

// Fill sets all columns but the key as the given write has them.
func (r *Plain) Fill(write int64) { r.Name, r.Price, r.Stock = names[write&1], write, write+r.ID }

// Current is nil: there is no version.
func (*Plain) Current() *int64 { return nil }

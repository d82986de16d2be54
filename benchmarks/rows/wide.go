package rows

import "fmt"

// Wide is a row of thirty columns.
type Wide[V any] struct {
	ID       int64  `gorm:"primaryKey;autoIncrement:false" xorm:"pk 'id'" db:"id"`
	Name     string `gorm:"size:64" db:"name"`
	Price    int64  `db:"price"`
	Text01   string `gorm:"size:64;column:text01" xorm:"'text01'" db:"text01"`
	Number01 int64  `gorm:"column:number01" xorm:"'number01'" db:"number01"`
	Text02   string `gorm:"size:64;column:text02" xorm:"'text02'" db:"text02"`
	Number02 int64  `gorm:"column:number02" xorm:"'number02'" db:"number02"`
	Text03   string `gorm:"size:64;column:text03" xorm:"'text03'" db:"text03"`
	Number03 int64  `gorm:"column:number03" xorm:"'number03'" db:"number03"`
	Text04   string `gorm:"size:64;column:text04" xorm:"'text04'" db:"text04"`
	Number04 int64  `gorm:"column:number04" xorm:"'number04'" db:"number04"`
	Text05   string `gorm:"size:64;column:text05" xorm:"'text05'" db:"text05"`
	Number05 int64  `gorm:"column:number05" xorm:"'number05'" db:"number05"`
	Text06   string `gorm:"size:64;column:text06" xorm:"'text06'" db:"text06"`
	Number06 int64  `gorm:"column:number06" xorm:"'number06'" db:"number06"`
	Text07   string `gorm:"size:64;column:text07" xorm:"'text07'" db:"text07"`
	Number07 int64  `gorm:"column:number07" xorm:"'number07'" db:"number07"`
	Text08   string `gorm:"size:64;column:text08" xorm:"'text08'" db:"text08"`
	Number08 int64  `gorm:"column:number08" xorm:"'number08'" db:"number08"`
	Text09   string `gorm:"size:64;column:text09" xorm:"'text09'" db:"text09"`
	Number09 int64  `gorm:"column:number09" xorm:"'number09'" db:"number09"`
	Text10   string `gorm:"size:64;column:text10" xorm:"'text10'" db:"text10"`
	Number10 int64  `gorm:"column:number10" xorm:"'number10'" db:"number10"`
	Text11   string `gorm:"size:64;column:text11" xorm:"'text11'" db:"text11"`
	Number11 int64  `gorm:"column:number11" xorm:"'number11'" db:"number11"`
	Text12   string `gorm:"size:64;column:text12" xorm:"'text12'" db:"text12"`
	Number12 int64  `gorm:"column:number12" xorm:"'number12'" db:"number12"`
	Text13   string `gorm:"size:64;column:text13" xorm:"'text13'" db:"text13"`
	Number13 int64  `gorm:"column:number13" xorm:"'number13'" db:"number13"`
	Version  V      `xorm:"version" db:"version"`
}

// TableName is the same for every kind of version.
func (Wide[V]) TableName() string { return "wide_items" }

// Key is where the key is.
func (r *Wide[V]) Key() *int64 { return &r.ID }

// SetPrice sets one column.
func (r *Wide[V]) SetPrice(write int64) { r.Price = write }

// Current is the version in memory.
func (r *Wide[V]) Current() *V { return &r.Version }

// Fill sets all columns but key and version as the given write has them.
func (r *Wide[V]) Fill(write int64) {
	r.Name, r.Price = names[write&1], write
	for _, text := range r.texts() {
		*text = names[write&1]
	}
	for i, number := range r.numbers() {
		*number = write + int64(i)
	}
}

func (r *Wide[V]) texts() [13]*string {
	return [13]*string{
		&r.Text01,
		&r.Text02,
		&r.Text03,
		&r.Text04,
		&r.Text05,
		&r.Text06,
		&r.Text07,
		&r.Text08,
		&r.Text09,
		&r.Text10,
		&r.Text11,
		&r.Text12,
		&r.Text13,
	}
}

func (r *Wide[V]) numbers() [13]*int64 {
	return [13]*int64{
		&r.Number01,
		&r.Number02,
		&r.Number03,
		&r.Number04,
		&r.Number05,
		&r.Number06,
		&r.Number07,
		&r.Number08,
		&r.Number09,
		&r.Number10,
		&r.Number11,
		&r.Number12,
		&r.Number13,
	}
}

// Columns are the columns but key and version.
func (*Wide[V]) Columns() []string { return wideColumns }

var wideColumns = func() []string {
	columns := []string{"name", "price"}
	for _, kind := range []string{"text", "number"} {
		for i := 1; i <= 13; i++ {
			columns = append(columns, fmt.Sprintf("%s%02d", kind, i))
		}
	}
	return columns
}()

// Values are what is in Columns.
func (r *Wide[V]) Values() []any {
	values := make([]any, 0, len(wideColumns))
	values = append(values, r.Name, r.Price)
	for _, text := range r.texts() {
		values = append(values, *text)
	}
	for _, number := range r.numbers() {
		values = append(values, *number)
	}
	return values
}

// Pointers are where Columns are scanned into.
func (r *Wide[V]) Pointers() []any {
	pointers := []any{&r.Name, &r.Price}
	for _, text := range r.texts() {
		pointers = append(pointers, text)
	}
	for _, number := range r.numbers() {
		pointers = append(pointers, number)
	}
	return pointers
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/examples/internal/embedded"
)

// Article is what is edited.
type Article struct {
	ID        uint       `json:"id"`
	Title     string     `json:"title"`
	Price     int        `json:"price"`
	Text      string     `json:"text"`
	Status    Status     `json:"status"`
	Sold      bool       `json:"sold"`
	Due       *time.Time `json:"due"`
	UpdatedBy string     `json:"updatedBy" gorm:"blame"`
	UpdatedAt time.Time  `json:"updatedAt" gorm:"blame"`
	Version   occ.Version
}

// Status is an enumeration.
type Status string

// fields are those that the form shows and writes.
var fields = []string{"Title", "Price", "Text", "Status", "Sold", "Due"}

var statuses = []Status{"draft", "published", "withdrawn"}

type editorKey struct{}

// by is a context in which an editor writes.
func by(ctx context.Context, editor string) context.Context {
	return context.WithValue(ctx, editorKey{}, editor)
}

func editorOf(ctx context.Context) string {
	editor, _ := ctx.Value(editorKey{}).(string)
	return editor
}

// BeforeSave checks what a client may send, and signs what is written.
func (a *Article) BeforeSave(tx *gorm.DB) error {
	if a.Status != "" && !slices.Contains(statuses, a.Status) {
		return fmt.Errorf("status %q: %w", a.Status, gorm.ErrInvalidValue)
	}
	if editor := editorOf(tx.Statement.Context); editor != "" {
		tx.Statement.SetColumn("UpdatedBy", editor)
	}
	return nil
}

// openDatabase makes an SQLite database with one article. What is sent to it is recorded.
func openDatabase(path string, sent *record) (*gorm.DB, error) {
	db, err := gorm.Open(embedded.Open(path), &gorm.Config{Logger: sent})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Article{})); err != nil {
		return nil, err
	}
	return db, restore(db)
}

// restore puts the article back as it was in the beginning, if it is not there.
func restore(db *gorm.DB) error {
	article := Article{ID: 1, Title: "Garden chair", Price: 40, Text: "Oak, oiled.\nFolds.", Status: "draft", UpdatedBy: "nobody"}
	err := db.First(&Article{}, article.ID).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return db.Create(&article).Error
	}
	return err
}

// record is a logger of GORM's that keeps the last statements. It is safe for concurrent use.
type record struct {
	mu         sync.Mutex
	statements []statement
}

type statement struct {
	Editor, SQL, Err string
	Rows             int64
}

const kept = 12

func (r *record) LogMode(logger.LogLevel) logger.Interface      { return r }
func (r *record) Info(context.Context, string, ...interface{})  {}
func (r *record) Warn(context.Context, string, ...interface{})  {}
func (r *record) Error(context.Context, string, ...interface{}) {}

// Trace keeps the statements that an editor has caused.
func (r *record) Trace(ctx context.Context, _ time.Time, fc func() (string, int64), err error) {
	editor := editorOf(ctx)
	if editor == "" {
		return
	}
	sql, rows := fc()
	s := statement{Editor: editor, SQL: sql, Rows: rows}
	if err != nil {
		s.Err = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, s)
	r.statements = r.statements[max(0, len(r.statements)-kept):]
}

// newestFirst is a copy of what is kept.
func (r *record) newestFirst() []statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.statements)
	slices.Reverse(all)
	return all
}

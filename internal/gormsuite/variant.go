package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// variant is one way to build the suite.
type variant struct {
	name    string
	overlay func(*suite) (map[string][]byte, error) // the files that differ from GORM's own; nil: none
}

const (
	plain      = "plain"      // GORM's tests as they are: the control
	registered = "registered" // each gorm.DB has the plugin
	versioned  = "versioned"  // and each model a version besides; the known differences are edited
	unedited   = "unedited"   // the same without the edits
)

var variants = []variant{
	{name: plain},
	{registered, register},
	{versioned, func(s *suite) (map[string][]byte, error) { return withVersions(s, differences) }},
	{unedited, func(s *suite) (map[string][]byte, error) { return withVersions(s, nil) }},
}

// build compiles the tests of the variant.
func (s *suite) build(ctx context.Context, v variant) error {
	args := []string{"test", "-mod=mod", "-vet=off", "-c", "-o", s.program(v.name)}
	if v.overlay != nil {
		files, err := v.overlay(s)
		if err != nil {
			return err
		}
		overlay, err := s.writeOverlay(v.name, files)
		if err != nil {
			return err
		}
		args = append(args, "-overlay="+overlay)
	}
	_, err := output(ctx, s.tests(), "go", append(args, ".")...)
	return err
}

// writeOverlay writes files, by their path in GORM, and what go build's -overlay wants to know of them.
func (s *suite) writeOverlay(name string, files map[string][]byte) (string, error) {
	dir := filepath.Join(s.dir, "overlay", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, content := range files {
		instead := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(instead, content, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(s.dir, path)] = instead
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, content, 0o644)
}

const opener = `package tests_test

import (
	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
)

// OpenTestConnection is what all tests open their databases with.
func OpenTestConnection(cfg *gorm.Config) (*gorm.DB, error) {
	db, err := openWithoutPlugin(cfg)
	if err != nil {
		return db, err
	}
	return db, db.Use(occ.New())
}
`

// register has the tests open their databases with the plugin.
func register(s *suite) (map[string][]byte, error) {
	const path, declared = "tests/tests_test.go", "func OpenTestConnection("
	content, err := os.ReadFile(filepath.Join(s.dir, path))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(content, []byte(declared)); n != 1 {
		return nil, fmt.Errorf("%s declares %d times what %q does", path, n, declared)
	}
	content = bytes.Replace(content, []byte(declared), []byte("func openWithoutPlugin("), 1)
	return map[string][]byte{path: content, "tests/occ_test.go": []byte(opener)}, nil
}

// withVersions has each model of the tests hold a version besides, and edits the tests that are different then.
func withVersions(s *suite, differences []difference) (map[string][]byte, error) {
	files, err := register(s)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(s.tests(), "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range append(paths, filepath.Join(s.dir, sharedModels)) {
		name, err := filepath.Rel(s.dir, path)
		if err != nil {
			return nil, err
		}
		if files[name] != nil || slices.Contains(ownColumns, filepath.Base(name)) {
			continue
		}
		if files[name], err = withVersionsIn(path, name, differences); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

func withVersionsIn(path, name string, differences []difference) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, d := range differences {
		if filepath.Join("tests", d.file) != name {
			continue
		}
		if content, err = d.apply(content); err != nil {
			return nil, err
		}
	}
	return addVersions(content, name == sharedModels)
}

// sharedModels are the models that most tests use.
const sharedModels = "utils/tests/models.go"

// ownColumns are the files whose tests are of the columns that a model declares: one more is another test.
var ownColumns = []string{"migrate_test.go"}

// parts are structs with a key that stand in other models: the version of those is enough.
var parts = []string{"Author", "EmbeddedAddress"}

// isModel reports whether a type is a struct with a primary key that GORM finds.
func isModel(name string, s *ast.StructType) bool {
	return !slices.Contains(parts, name) && slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool {
		if embedded, ok := f.Type.(*ast.SelectorExpr); ok && len(f.Names) == 0 && embedded.Sel.Name == "Model" {
			return true
		}
		isKey := f.Tag != nil && strings.Contains(strings.ReplaceAll(strings.ToLower(gormTag(f)), "_", ""), "primarykey")
		return isKey || slices.ContainsFunc(f.Names, func(name *ast.Ident) bool { return name.Name == "ID" })
	})
}

func gormTag(f *ast.Field) string {
	return reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("gorm")
}

// addVersions embeds occ.Version in the models of a file, or in all its structs. The file's lines stay where they are, so that
// failures name GORM's own.
func addVersions(content []byte, toAll bool) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	insertions := map[int]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok && (toAll || isModel(spec.Name.Name, s)) {
			insertions[fset.Position(s.Fields.Closing).Offset] = field(fset, s)
		}
		return true
	})
	if len(insertions) > 0 || bytes.Contains(content, []byte("occ.New()")) {
		insertions[fset.Position(file.Name.End()).Offset] = `; import "github.com/gorm-occ/occ"`
	}
	return insert(content, insertions), nil
}

// field is what stands before the closing brace of a model.
func field(fset *token.FileSet, s *ast.StructType) string {
	fields := s.Fields.List
	if len(fields) > 0 && fset.Position(fields[len(fields)-1].End()).Line == fset.Position(s.Fields.Closing).Line {
		return "; occ.Version"
	}
	return "occ.Version"
}

func insert(content []byte, insertions map[int]string) (with []byte) {
	for i, c := range content {
		with = append(with, insertions[i]...)
		with = append(with, c)
	}
	return with
}

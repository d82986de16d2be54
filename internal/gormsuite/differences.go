package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
)

// The reasons for which a test of GORM's is another one where its models have versions.
const (
	sqlText     = "it asserts SQL text, which names the version"
	neverLoaded = "it writes over a row that it has not loaded, which is refused"
	moved       = "it writes a model whose row was written by other means than the model, which is refused: it has to be loaded again"
	gone        = "it saves a loaded model whose row is gone, which is refused: Save inserts models that were not loaded"
	wholeModel  = "it compares with a model that it made by hand, without a version"
	rowInHand   = "it wants an upserted model to keep an updated_at that its row has no more"
	saysMore    = "it compares errors by ==; the plugin's wraps GORM's and says what to do"
	unplugged   = "it opens a gorm.DB without the plugin, on which a model with a version cannot be written"
)

// difference is a test of GORM's that fails with a version in every model, and what it has to say instead. Each one is tried without
// its edits too, and has to fail then: what is no difference any more has no place here.
type difference struct {
	test   string
	on     []string // the dialects; none: all
	after  string   // another test, whose rows make the difference
	reason string
	file   string // in tests
	edits  []edit // in the test's function, or in the whole file where in names another function
}

// edit replaces text of a function of GORM's tests. The text stays on its lines, so that failures name GORM's own.
type edit struct {
	in       string // the function; empty: the test's
	old, new string
	times    int // how often old stands there; 0: once
}

// differences are all that there are.
var differences = []difference{
	{test: "TestBelongsToAssociation", reason: moved, file: "associations_belongs_to_test.go", edits: []edit{{
		old: `if err := DB.Model(&user2).Association("Company").Append(&company); err != nil {`,
		new: `DB.Select("version").First(&user2); if err := DB.Model(&user2).Association("Company").Append(&company); err != nil {`, times: 2,
	}}},
	{test: "TestBelongsToAssociationForSlice", reason: moved, file: "associations_belongs_to_test.go", edits: []edit{{
		old: `company := Company{Name: "shared"}`,
		new: `for i := range users { DB.Select("version").First(&users[i]) }; company := Company{Name: "shared"}`,
	}}},
	{test: "TestHasManyAssociation", reason: moved, file: "associations_has_many_test.go", edits: []edit{{
		old: `if err := DB.Model(&user2).Association("Pets").Append(&pet); err != nil {`,
		new: `if pet.ID != 0 { DB.Select("version").First(&pet) }; if err := DB.Model(&user2).Association("Pets").Append(&pet); err != nil {`, times: 2,
	}}},
	{test: "TestSingleTableHasManyAssociation", reason: moved, file: "associations_has_many_test.go", edits: []edit{{
		old: `if err := DB.Model(&user2).Association("Team").Append(&team); err != nil {`,
		new: `if team.ID != 0 { DB.Select("version").First(&team) }; if err := DB.Model(&user2).Association("Team").Append(&team); err != nil {`, times: 2,
	}}},
	{test: "TestPolymorphicHasManyAssociation", reason: moved, file: "associations_has_many_test.go", edits: []edit{{
		old: `if err := DB.Model(&user2).Association("Toys").Append(&toy); err != nil {`,
		new: `if toy.ID != 0 { DB.Select("version").First(&toy) }; if err := DB.Model(&user2).Association("Toys").Append(&toy); err != nil {`, times: 2,
	}}},
	{test: "TestMany2ManyDuplicateBelongsToAssociation", after: "TestBelongsToAssociation", reason: neverLoaded, file: "associations_many2many_test.go", edits: []edit{{
		old: `Name: "Test-company-1",`, new: `Name: "Test-company-1", Version: 1,`, times: 2,
	}}},
	{test: "TestConnPoolWrapper", on: []string{"mysql"}, reason: unplugged + "; and " + sqlText, file: "connpool_test.go", edits: []edit{
		{old: `db.Logger = DB.Logger`, new: `db.Logger = DB.Logger; db.Use(occ.New()); conn.got = conn.got[:1]`},
		{old: "`active`) VALUES (?,?,?,?,?,?,?,?,?)", new: "`active`,`version`) VALUES (?,?,?,?,?,?,?,?,?,?)", times: 3},
	}},
	{test: "TestCreateFromSubQuery", reason: sqlText, file: "create_test.go", edits: []edit{
		{old: `\(.name.,.user_id.\)`, new: `\(.name.,.user_id.,.version.\)`},
		{old: `as tmp\)\),\(.+,@uid\)`, new: `as tmp\),.+\),\(.+,@uid,.+\)`},
	}},
	{test: "TestCreateNilPointer", reason: saysMore, file: "create_test.go", edits: []edit{{
		old: `err != gorm.ErrInvalidValue`, new: `!errors.Is(err, gorm.ErrInvalidValue)`,
	}}},
	{test: "TestUpdateCallbacks", reason: moved, file: "hooks_test.go", edits: []edit{{
		old: `err = DB.Model([1]*Product5{&p})`, new: `DB.First(&p); err = DB.Model([1]*Product5{&p})`,
	}}},
	{test: "TestJoinsPreload_Issue7013_RelationEmpty", reason: wholeModel, file: "joins_test.go", edits: []edit{{
		old: `{{Model: home.Model,`, new: `{{Model: home.Model, Version: home.Version,`,
	}}},
	{test: "TestEmbedPreload", reason: wholeModel, file: "preload_test.go", edits: []edit{{
		old: `actual := Org{}`, new: `actual := Org{}; test.expect.Version = org.Version`,
	}}},
	{test: "TestSoftDelete", reason: sqlText, file: "soft_delete_test.go", edits: []edit{{
		old: `SET .deleted_at.=.* WHERE`, new: `SET .deleted_at.=.*,.version.=.* WHERE .users.\..version. = .* AND`,
	}}},
	{test: "TestDryRun", reason: sqlText, file: "sql_builder_test.go", edits: []edit{{
		old: `len(stmt.Vars) != 9`, new: `len(stmt.Vars) != 10`,
	}}},
	{test: "TestToSQL", reason: sqlText, file: "sql_builder_test.go", edits: []edit{
		{old: `"active") VALUES`, new: `"active","version") VALUES`, times: 2},
		{old: `NULL,NULL,NULL,false)`, new: `NULL,NULL,NULL,false,1)`, times: 2},
		{
			in:  "assertEqualSQL",
			old: `actually = strings.TrimSpace(actually)`,
			new: `actually = strings.TrimSpace(regexp.MustCompile(",\"version\"=CASE .+ END").ReplaceAllString(actually, ""))`,
		},
	}},
	{test: "TestUpdateMany2ManyAssociations", reason: neverLoaded, file: "update_many2many_test.go", edits: []edit{
		{old: `for _, lang := range user.Languages {`, new: `for i, lang := range user.Languages {`},
		{old: `DB.Create(&lang)`, new: `DB.Create(&lang); DB.Select("version").First(&user.Languages[i])`},
	}},
	{test: "TestUpdate", reason: moved, file: "update_test.go", edits: []edit{{
		old: `if rowsAffected := DB.Model(users)`, new: `DB.Select("version").First(user); if rowsAffected := DB.Model(users)`,
	}}},
	{test: "TestUpdatesWithBlankValues", reason: neverLoaded, file: "update_test.go", edits: []edit{{
		old: `user2.ID = user.ID`, new: `user2.ID, user2.Version = user.ID, user.Version`,
	}}},
	{test: "TestSave", reason: sqlText + "; and " + neverLoaded, file: "update_test.go", edits: []edit{
		{old: `WHERE .id. = [^ ]+$`, new: `WHERE .users.\..id. = [^ ]+ AND .users.\..version. = [^ ]+$`},
		{
			old: `if err := DB.Model(User{Model: user3.Model}).Save(&struct {`,
			new: `if err := DB.Model(User{Model: user3.Model, Version: user3.Version}).Save(&struct {`,
		},
	}},
	{test: "TestSaveWithPrimaryValue", reason: gone, file: "update_test.go", edits: []edit{{
		old: `DB.Table("langs").AutoMigrate(&Language{})`, new: `DB.Table("langs").AutoMigrate(&Language{}); lang.Version = 0`,
	}}},
	{test: "TestSaveWithHooks", reason: neverLoaded, file: "update_test.go", edits: []edit{
		{old: `ID:    owner.ID,`, new: `ID:    owner.ID, Version: owner.Version,`},
		{old: `Token{Content: "token2"}`, new: `Token{Content: "token2", Version: owner.Token.Version}`},
	}},
	{test: "TestUpsert", reason: sqlText + "; and " + rowInHand, file: "upsert_test.go", edits: []edit{
		{old: `\(.code.,.name.,.lang.\) .* (SET|UPDATE) .name.=.*.name.\W*$`, new: `\(.code.,.name.,.lang.,.version.\) .* (SET|UPDATE) .*.name.=.*.name.\W.*.version.`},
		{old: `user2.Age = 30`, new: `user2.Age = 30; before := user2.UpdatedAt`},
		{old: `== user2.UpdatedAt.UnixNano()`, new: `== before.UnixNano()`},
	}},
	{test: "TestUpdateWithMissWhere", reason: sqlText, file: "upsert_test.go", edits: []edit{{
		old: `WHERE .id. = [^ ]+$`, new: `WHERE .users.\\..id. = [^ ]+ AND \\(.users.\\..version. = [^ ]+ OR .users.\\..version. IS NULL\\)$`,
	}}},
}

// isOn reports whether the difference is there in a dialect.
func (d difference) isOn(dialect string) bool {
	return len(d.on) == 0 || slices.Contains(d.on, dialect)
}

// pattern names the test, and what has to run before it.
func (d difference) pattern() string {
	if d.after == "" {
		return "^" + d.test + "$"
	}
	return "^(" + d.after + "|" + d.test + ")$"
}

// apply makes the edits in the file's content.
func (d difference) apply(content []byte) ([]byte, error) {
	for _, e := range d.edits {
		function := cmp.Or(e.in, d.test)
		begin, end, err := extent(content, function)
		if err != nil {
			return nil, err
		}
		body, want := content[begin:end], cmp.Or(e.times, 1)
		if n := bytes.Count(body, []byte(e.old)); n != want {
			return nil, fmt.Errorf("%s has %d times, not %d, what is to be edited: %s", function, n, want, e.old)
		}
		content = slices.Concat(content[:begin], bytes.ReplaceAll(body, []byte(e.old), []byte(e.new)), content[end:])
	}
	return content, nil
}

// extent is where a function begins and ends.
func extent(content []byte, function string) (begin, end int, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", content, parser.SkipObjectResolution)
	if err != nil {
		return 0, 0, err
	}
	for _, declared := range file.Decls {
		if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == function {
			return fset.Position(f.Pos()).Offset, fset.Position(f.End()).Offset, nil
		}
	}
	return 0, 0, fmt.Errorf("there is no function %s", function)
}

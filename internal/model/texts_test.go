package model

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATextIsFoundByAllThatItDependsOn(t *testing.T) {
	var texts Texts
	key := TextKey{Table: "items"}
	texts.Keep(key, []string{"name", "price"}, "UPDATE items SET name, price")

	require.Equal(t, "UPDATE items SET name, price", texts.Of(key, []string{"name", "price"}))
	for _, other := range []TextKey{{Table: "items_2025"}, {Table: "items", IsUnscoped: true}, {Table: "items", IsDelete: true}} {
		require.Empty(t, texts.Of(other, []string{"name", "price"}), "%+v", other)
	}
	for _, columns := range [][]string{{"price", "name"}, {"name"}, {"name", "price", "stock"}, {"nam", "eprice"}, nil} {
		require.Empty(t, texts.Of(key, columns), "%v", columns)
	}
}

func TestNoMoreTextsAreKeptThanAreUseful(t *testing.T) {
	var texts Texts
	for i := range 2 * maxTexts {
		texts.Keep(TextKey{Table: fmt.Sprint("items_", i)}, []string{"name"}, "UPDATE")
	}

	require.Len(t, texts.texts, maxTexts)
	require.Equal(t, "UPDATE", texts.Of(TextKey{Table: "items_0"}, []string{"name"}))
	require.Empty(t, texts.Of(TextKey{Table: fmt.Sprint("items_", maxTexts)}, []string{"name"}))
}

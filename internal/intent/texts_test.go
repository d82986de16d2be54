package intent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/internal/kind"
)

func TestTextsOf(t *testing.T) {
	texts := TextsOf([]string{"7", "", "9", "7", kind.AnyVersion, "8"})

	require.Equal(t, []string{"7", "9", kind.AnyVersion, "8"}, texts.Versions)
	require.True(t, texts.any)
	require.Empty(t, TextsOf([]string{"", ""}).Versions)
}

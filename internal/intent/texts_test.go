package intent

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/internal/kind"
)

func TestTextsOf(t *testing.T) {
	texts := TextsOf([]string{"7", "", "9", "7", kind.AnyVersion, "8"})

	require.Equal(t, []string{"7", "9", kind.AnyVersion, "8"}, texts.Versions)
	require.True(t, texts.any)
	require.Empty(t, TextsOf([]string{"", ""}).Versions)
}

func TestTextsOfManyTakeLittleTime(t *testing.T) {
	versions := make([]string, 200_000)
	for i := range versions {
		versions[i] = strconv.Itoa(i)
	}
	began := time.Now()

	texts := TextsOf(versions)

	require.Equal(t, versions, texts.Versions)
	require.Less(t, time.Since(began), 5*time.Second, "each text was compared with all others")
}

package faults_test

import (
	"testing"

	"github.com/gorm-occ/occ/internal/behaviour"
)

func TestMain(m *testing.M) { behaviour.Main(m) }

package tree_test

import (
	"testing"

	"example.org/ncm/test/tree"
)

func TestBytesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		value tree.Bytes
		shown string
	}{
		"0": {0, "0 B"}, "999": {999, "999 B"}, "1000": {1000, "1.0 kB"}, "50M": {50_000_000, "50.0 MB"},
		"1G": {1_000_000_000, "1.0 GB"}, "1.5GB": {1_500_000_000, "1.5 GB"}, "2 T": {2_000_000_000_000, "2.0 TB"},
		"999999": {999_999, "1.0 MB"}, "999940": {999_940, "999.9 kB"},
	} {
		var b tree.Bytes
		if err := b.Set(text); err != nil || b != want.value || b.String() != want.shown {
			t.Errorf("%q is %d, %s, %v; want %d, %s", text, int64(b), b, err, int64(want.value), want.shown)
		}
	}
	for _, text := range []string{"", "-1", "x", "1X", "NaN", "Inf", "9999999999T"} {
		if err := new(tree.Bytes).Set(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestGroupedHasACommaAtEachThirdDigit(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := tree.Grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

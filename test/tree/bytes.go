package tree

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a count of bytes that people read and write, in powers of 1000. A
// *Bytes is a flag.Value.
type Bytes int64

const units = "kMGT"

// String gives 512 B, 1.5 MB and the like.
func (b Bytes) String() string {
	if b < 1000 {
		return strconv.FormatInt(int64(b), 10) + " B"
	}
	value, unit := float64(b)/1000, 0
	for value >= 999.95 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}

// Set reads 1000, 50M, 1G or 1.5GB.
func (b *Bytes) Set(text string) error {
	number, factor := strings.TrimSuffix(text, "B"), 1.0
	for i := range len(units) {
		if rest, ok := strings.CutSuffix(number, units[i:i+1]); ok {
			number = rest
			for range i + 1 {
				factor *= 1000
			}
			break
		}
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(value >= 0) || value*factor > 1<<62 {
		return fmt.Errorf("read size %q: want a number of bytes, with k, M, G or T", text)
	}
	*b = Bytes(value * factor)
	return nil
}

// Grouped writes a number with a comma at each third digit.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

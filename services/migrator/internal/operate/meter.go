package operate

import (
	"math"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Meter tells how fast migrations are at the moment, from rows that were read one
// after the other. The zero value is ready; not for concurrent use.
type Meter struct {
	seen map[string]sample
}

type sample struct {
	at    time.Time
	bytes int64
	speed float64 // bytes per second; negative: not known
}

// fade is how long a change of speed takes to show by two thirds.
const fade = 5 * time.Second

// Measure replaces the mean speed of each running migration by its present one
// as soon as two rows are known.
func (m *Meter) Measure(rows []Migration) {
	seen := make(map[string]sample, len(rows))
	for i := range rows {
		row := &rows[i]
		if row.State != transfer.StateRunning {
			continue
		}
		s := m.seen[row.ID].next(row)
		seen[row.ID] = s
		if s.speed >= 0 {
			row.setSpeed(s.speed)
		}
	}
	m.seen = seen
}

func (s sample) next(row *Migration) sample {
	now := sample{row.Now, row.BytesDone, -1}
	took := now.at.Sub(s.at).Seconds()
	if s.at.IsZero() {
		return now
	}
	if took <= 0 {
		return s
	}
	now.speed = max(0, float64(now.bytes-s.bytes)) / took
	if s.speed >= 0 {
		old := math.Exp(-took / fade.Seconds())
		now.speed = s.speed*old + now.speed*(1-old)
	}
	return now
}

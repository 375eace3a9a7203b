package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what a bench found, and where.
type report struct {
	Profile   string   `json:"profile"`
	Count     int      `json:"count"`
	Machine   machine  `json:"machine"`
	Scenarios []result `json:"scenarios"`
}

// machine is what the numbers depend on.
type machine struct {
	CPUs int    `json:"cpus"`
	CPU  string `json:"cpu"`
	Go   string `json:"go"`
	Load string `json:"load"` // averages of 1, 5 and 15 minutes at the start
}

func newReport(o options) *report {
	m := machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), CPU: "unknown processor", Load: "unknown"}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			name, _, _ := strings.Cut(rest, "\n")
			m.CPU = strings.Trim(name, "\t :")
		}
	}
	return &report{Profile: o.profile, Count: o.count, Machine: m}
}

// result is what the laps of one scenario took.
type result struct {
	Name string   `json:"name"`
	Unit string   `json:"unit"`
	Ways []series `json:"ways"`
}

// series is the laps of one way.
type series struct {
	Label  string    `json:"label"`
	Files  int       `json:"files"`
	Bytes  int64     `json:"bytes"`
	Aim    float64   `json:"aim,omitempty"` // of the ratio
	Ratio  spread    `json:"ratio"`
	Ratios []float64 `json:"ratios"` // to the first way of the same round
	Laps   []lap     `json:"laps"`
}

func newResult(s scenario) result {
	r := result{Name: s.name, Unit: s.ways[0].unit}
	for _, l := range s.ways {
		r.Ways = append(r.Ways, series{Label: l.label, Files: l.files, Bytes: l.total(), Aim: l.aim})
	}
	return r
}

// add takes one round: a lap of each way.
func (r *result) add(laps []lap) {
	for i, x := range laps {
		w := &r.Ways[i]
		w.Laps = append(w.Laps, x)
		w.Ratios = append(w.Ratios, x.Rate/laps[0].Rate)
		w.Ratio = spreadOf(w.Ratios)
	}
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	fmt.Fprintf(w, "profile %s, %d rounds, all ways in turn; median (min-max); ratios are to the first way\n", r.Profile, r.Count)
	fmt.Fprintln(w, "RSS and the first CPU are of the process that moves the files: the pipe, the migrator or rclone")
	fmt.Fprintf(w, "%d CPUs (%s), %s, load %s at the start\n\n", r.Machine.CPUs, r.Machine.CPU, r.Machine.Go, r.Machine.Load)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\t\ta second, all included\tof it in the slice\tbefore it, ms\tafter it, ms\tpeak RSS, MB\tCPU, µs each\tof the servers\tof the database\tratio\taim")
	for _, s := range r.Scenarios {
		fmt.Fprintf(t, "%s, %d\t\t\t\t\t\t\t\t\t\t\t\n", s.Name, s.Ways[0].Files)
		for _, w := range s.Ways {
			fmt.Fprintf(t, "\t%s\t%s\t%s\n", w.row(s.Unit), w.Ratio, w.verdict())
		}
	}
	return t.Flush()
}

// verdict says whether the ratio is what it is meant to be.
func (s series) verdict() string {
	switch {
	case s.Aim == 0:
		return ""
	case s.Ratio.Median < s.Aim:
		return fmt.Sprintf("%.4g: missed", s.Aim)
	default:
		return fmt.Sprintf("%.4g: met", s.Aim)
	}
}

// row is the cells of a series behind the scenario's name.
func (s series) row(unit string) string {
	of := func(value func(lap) float64) string {
		values := make([]float64, 0, len(s.Laps))
		for _, x := range s.Laps {
			values = append(values, value(x))
		}
		if slices.Max(values) == 0 {
			return "-" // a phase that the pipe does not have, or not measured
		}
		return spreadOf(values).String()
	}
	cells := []string{
		s.Label,
		of(func(x lap) float64 { return x.Rate }) + " " + unit,
		of(func(x lap) float64 { return x.SliceRate }),
		of(func(x lap) float64 { return x.Before * 1000 }),
		of(func(x lap) float64 { return x.After * 1000 }),
		of(func(x lap) float64 { return float64(x.PeakRSS) / float64(megabyte) }),
		of(func(x lap) float64 { return x.CPU }),
		of(func(x lap) float64 { return x.ServersCPU }),
		of(func(x lap) float64 { return x.DatabaseCPU }),
	}
	return strings.Join(cells, "\t")
}

// spread is how several measurements of one thing lie.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf takes at least one value.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// String rounds to three digits.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s-%s)", short(s.Median), short(s.Min), short(s.Max))
}

func short(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
